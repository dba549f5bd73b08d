"""Models that think: the delimiters of thoughts, and thoughts with a budget."""

from __future__ import annotations

import math
import random
from typing import Any, Literal

import pytest

from agents.engines.base import GenerateRequest
from agents.engines.scripted.engine import Rule, ScriptedEngine
from agents.engines.scripted.tokenizer import DEFAULT_SPECIAL_TOKENS, ScriptedTokenizer
from agents.engines.tokenizer import HFTokenizer
from agents.prompts import PromptFamily, Prompts
from agents.roles.policy import Policy, PolicySettings
from agents.roles.thought_format import find_format
from agents.safety.think_delimiters import KNOWN, MARKS, THINK, ThinkDelimiters
from agents.safety.visible_text import visible_text
from agents.types import Budget, Meter, Question, Step, ThinkSettings
from configs.schema import PolicyConfig
from configs.schema.engine import resolve_model
from tests.settings import settings_of

SCORED = Question(text="What is 3 + 4?", gold="7")
OPEN = Question(text="What is 3 + 4?")
Horizon = Literal["step", "answer"]
HARMONY = KNOWN[0]


def tokens_of(delimiters: ThinkDelimiters) -> tuple[str, ...]:
    """Special tokens of a model with these delimiters."""
    if delimiters is HARMONY:
        return ("<|start|>", "<|channel|>", "<|message|>")
    if delimiters.start == "<|channel>thought\n":
        return ("<|channel>", "<channel|>")
    return delimiters[:2]


class Opened(ScriptedTokenizer):
    """The tokenizer of a model whose chat template begins to think."""

    def apply_chat_template(self, messages: list[dict[str, str]], options: Any = None) -> list[int]:
        return [*super().apply_chat_template(messages, options), *self.encode("<think>\n")]


def policy_of(
    engine: ScriptedEngine,
    *,
    special_tokens: tuple[str, ...] = (),
    opened: bool = False,
    **changes: object,
) -> Policy:
    kind = Opened if opened else ScriptedTokenizer
    engine.tokenizer = kind((*DEFAULT_SPECIAL_TOKENS, *special_tokens))
    options = settings_of(PolicySettings, PolicyConfig(max_step_tokens=96), **changes)
    return Policy(engine, Prompts(PromptFamily("chat"), engine.tokenizer), options)


def policy_that_writes(*replies: str, **options: Any) -> Policy:
    return policy_of(ScriptedEngine(script=[Rule(reply=reply) for reply in replies]), **options)


def thinker(thought: str, answer: str, **options: Any) -> Policy:
    """Returns a policy whose model continues `thought` until it is closed, and then
    writes `answer`.
    """

    def reply(prompt: str, index: int, rng: random.Random) -> str:
        written = prompt.rpartition("<|assistant|>")[2].removeprefix("<think>\n")
        if "</think>" in written:
            begun = written.rpartition("</think>")[2].lstrip("\n")
            assert answer.startswith(begun)
            return answer[len(begun) :]
        assert thought.startswith(written)
        return thought[len(written) :]

    engine = ScriptedEngine.from_function(reply, context_length=options.pop("context_length", 4096))
    return policy_of(engine, opened=True, **options)


async def steps_of(
    policy: Policy, horizon: Horizon, question: Question = SCORED, **caps: int
) -> list[Step]:
    meter, path = Meter(Budget(**caps)), list[Step]()
    while not (path and path[-1].is_final):
        proposal = await policy.propose(question, path, meter=meter, horizon=horizon)
        if not proposal.chains:
            break
        path += proposal.chains[0]
        if horizon == "answer":
            break
    return path


def ids_of(steps: list[Step]) -> list[tuple[int, ...]]:
    return [step.content.reveal().token_ids for step in steps]


def text_of(steps: list[Step], policy: Policy) -> str:
    return policy.engine.tokenizer.decode([token for ids in ids_of(steps) for token in ids])


@pytest.mark.parametrize("delimiters", KNOWN, ids=lambda each: each.start.strip())
@pytest.mark.parametrize("is_special", [True, False])
@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_known_delimiters_separate_thought_and_answer(
    delimiters: ThinkDelimiters, is_special: bool, horizon: Horizon
) -> None:
    text = f"{delimiters.start}Answer: 5\n\nNo, it is 6.{delimiters.end}Answer: 7"
    special = tokens_of(delimiters) if is_special else ()
    policy = policy_that_writes(*[text] * 4, special_tokens=special)
    if horizon == "step":

        def reply(prompt: str, index: int, rng: random.Random) -> str:
            return text[len(prompt.rpartition("<|assistant|>")[2]) :]

        policy = policy_of(ScriptedEngine.from_function(reply), special_tokens=special)
    steps = await steps_of(policy, horizon)
    assert [step.answer for step in steps if step.answer is not None] == ["7"]
    assert steps[-1].answer == "7"
    if is_special:
        texts = [step.content.reveal().text for step in steps]
        assert texts[-1] == "Answer: 7" and "5" in texts[0]


@pytest.mark.parametrize("delimiters", KNOWN, ids=lambda each: each.start.strip())
def test_no_delimiter_and_no_thought_reaches_the_user(delimiters: ThinkDelimiters) -> None:
    start, end, closing = delimiters
    assert visible_text(f"{start}secret{closing}public") == "public"
    assert visible_text(f"secret{end}public") == "public"
    assert visible_text(f"public{start}secret") == "public"
    assert visible_text(f"{start}secret{closing}public{start}secret{end}, too") == "public, too"


def test_marks_stay_in_decoded_text_and_other_special_tokens_do_not() -> None:
    tokenizer = ScriptedTokenizer((*DEFAULT_SPECIAL_TOKENS, *MARKS))
    ids = tokenizer.encode("<|user|>a[THINK]b[/THINK]c<|end|>")
    assert tokenizer.decode(ids) == "a[THINK]b[/THINK]c"


def test_the_format_is_configured_or_in_the_vocabulary_or_in_the_template() -> None:
    plain, special = ScriptedTokenizer(), ScriptedTokenizer(("[THINK]", "[/THINK]"))
    own = ThinkSettings(start="<<a>>", end="<<b>>")
    assert find_format(plain, ThinkSettings(), plain.encode("Hello")) is None
    for tokenizer, settings, prompt, found in (
        (special, ThinkSettings(), "Hello", "[THINK]"),
        (plain, ThinkSettings(), "Hello <reasoning>\n", "<reasoning>"),
        (plain, ThinkSettings(forced=True), "Hello", "<think>"),
        (special, own, "Hello", "<<a>>"),
    ):
        thought_format = find_format(tokenizer, settings, tokenizer.encode(prompt))
        assert thought_format is not None and thought_format.delimiters.start == found


@pytest.mark.parametrize("special_tokens", [(), ("<<a>>", "<<b>>")])
async def test_delimiters_of_ones_own_are_known_to_everything_that_reads(
    special_tokens: tuple[str, ...],
) -> None:
    policy = policy_that_writes(
        "<<a>>Answer: 5<<b>>Answer: 7",
        think=ThinkSettings(start="<<a>>", end="<<b>>"),
        special_tokens=special_tokens,
    )
    thought, answer = await steps_of(policy, "answer")
    assert (thought.answer, answer.answer) == (None, "7")
    assert visible_text(thought.content.reveal().text) == ""


LONG = "I add.\n\nThen I add again and again and again.\n\nAnswer: 5\n\nOr is it more?" + " Hm" * 40


@pytest.mark.parametrize("horizon", ["step", "answer"])
@pytest.mark.parametrize("limit", [5, 20, 33])
async def test_a_thought_is_closed_at_its_budget_and_the_answer_follows(
    horizon: Horizon, limit: int
) -> None:
    policy = thinker(LONG, "So it is.\n\nAnswer: 7", max_answer_tokens=60)
    steps = await steps_of(policy, horizon, thinking_tokens=limit)
    forced = [step for step in steps if step.content.reveal().forced]
    assert len(forced) == 1 and steps[-1].answer == "7"
    content = forced[0].content.reveal()
    assert policy.engine.tokenizer.decode(content.token_ids[: content.forced]) == THINK.closing
    assert all(map(math.isnan, content.logprobs[: content.forced]))
    assert not any(map(math.isnan, content.logprobs[content.forced :]))
    before = steps[: steps.index(forced[0])]
    assert sum(len(ids) for ids in ids_of(before)) == limit


@pytest.mark.parametrize("limit", [1, 5, 20, 33, 1000])
@pytest.mark.parametrize("thought", [LONG, "Short.\n\n</think>\n\n", "Short.</think>Answer: 6"])
async def test_a_closed_thought_is_the_same_step_by_step(limit: int, thought: str) -> None:
    answer = "So it is.\n\nAnswer: 7" if "6" not in thought else "Answer: 6"
    options: dict[str, Any] = {"max_answer_tokens": 300, "max_step_tokens": 300}
    whole = await steps_of(thinker(thought, answer, **options), "answer", thinking_tokens=limit)
    stepped = await steps_of(thinker(thought, answer, **options), "step", thinking_tokens=limit)
    assert ids_of(whole) == ids_of(stepped)
    for each in ("finish_reason", "answer"):
        assert [getattr(step, each) for step in whole] == [getattr(step, each) for step in stepped]
    assert [step.content.reveal().forced for step in whole] == [
        step.content.reveal().forced for step in stepped
    ]


async def test_a_closing_phrase_stands_before_the_end_of_the_thought() -> None:
    think = ThinkSettings(closing="I have to answer now.")
    policy = thinker(LONG, "Answer: 7", think=think)
    steps = await steps_of(policy, "answer", thinking_tokens=5)
    assert f"\n\nI have to answer now.{THINK.closing}Answer: 7" in text_of(steps, policy)


async def test_equal_samples_are_closed_by_one_request() -> None:
    policy = thinker(LONG, "Answer: 7")
    meter = Meter(Budget(thinking_tokens=5))
    proposal = await policy.propose(SCORED, (), meter=meter, n=4, horizon="answer")
    assert [chain[-1].answer for chain in proposal.chains] == ["7"] * 4
    assert meter.spent.total.calls == 2


@pytest.mark.parametrize(("tokens", "context"), [(60, 4096), (None, 150)])
async def test_a_thought_leaves_room_for_its_answer(tokens: int | None, context: int) -> None:
    policy = thinker(LONG, "Answer: 7", max_answer_tokens=40, context_length=context)
    meter = Meter(Budget(thinking_tokens=1000, max_tokens=tokens))
    proposal = await policy.propose(SCORED, (), meter=meter, n=3, horizon="answer")
    assert {chain[-1].answer for chain in proposal.chains} == {"7"} and meter.held_back == 0


async def test_a_budget_that_is_spent_leaves_the_thought_open_and_counted() -> None:
    policy = thinker(LONG, "Answer: 7")
    steps = await steps_of(policy, "answer", thinking_tokens=20, max_calls=1)
    assert steps[-1].answer is None and steps[-1].finish_reason == "length"


@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_a_model_without_delimiters_is_never_closed(horizon: Horizon) -> None:
    policy = (
        policy_that_writes("3 + 4 = 7, I think.\n\n", "Answer: 7")
        if horizon == "step"
        else (policy_that_writes("3 + 4 = 7, I think.\n\nAnswer: 7"))
    )
    steps = await steps_of(policy, horizon, thinking_tokens=2)
    assert [step.answer for step in steps] == [None, "7"]
    assert not any(step.content.reveal().forced for step in steps)


async def test_a_thinking_model_may_answer_at_once() -> None:
    policy = policy_that_writes("It is: ", "Answer: 7", special_tokens=("<think>", "</think>"))
    engine = policy.engine
    long = "It is seven.\n\nAnswer: 7"

    def reply(prompt: str, index: int, rng: random.Random) -> str:
        return long[len(prompt.rpartition("<|assistant|>")[2]) :]

    engine._rules, engine._reply = [], reply  # type: ignore[attr-defined]
    steps = await steps_of(policy, "answer", thinking_tokens=3)
    assert [step.answer for step in steps] == [None, "7"] and text_of(steps, policy) == long


@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_a_forced_thought_begins_with_its_delimiter(horizon: Horizon) -> None:
    def reply(prompt: str, index: int, rng: random.Random) -> str:
        assert "<|assistant|><think>\n" in prompt
        return "I add.\n\n</think>\n\nAnswer: 7"[len(prompt.rpartition("<think>\n")[2]) :]

    policy = policy_of(ScriptedEngine.from_function(reply), think=ThinkSettings(forced=True))
    steps = await steps_of(policy, horizon)
    first = steps[0].content.reveal()
    assert first.text == "<think>\nI add." and steps[-1].answer == "7"
    assert first.forced == len(policy.engine.tokenizer.encode("<think>\n"))


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("I add.</think>It is 7.", "It is 7."),
        ("I add.</think>leak</think>It is 7.", "It is 7."),
        ("I add.</think>It is 7.<think>Or 8?</think>", "It is 7."),
        ("<think>I <think>add</think> up</think>It is 7.", "It is 7."),
        ("I add.</think>It is 7.<think>Or 8?", ""),
        ("I add, and it is 7.", ""),
        ("I quote `</think>`. It is 8.</think>It is 7.", "It is 7."),
    ],
)
async def test_a_thought_that_leaks_is_not_shown(reply: str, shown: str) -> None:
    policy = policy_that_writes(reply, opened=True)
    proposal = await policy.propose(
        OPEN, (), meter=Meter(Budget()), horizon="answer", as_reply=True
    )
    assert visible_text(proposal.chains[0][-1].answer or "") == shown


async def test_a_thought_that_goes_on_after_its_forced_end_is_not_shown() -> None:
    policy = policy_that_writes("I add and", "still add.</think>It is 7.", opened=True)
    limit = len(policy.engine.tokenizer.encode("I add and"))
    proposal = await policy.propose(
        OPEN,
        (),
        meter=Meter(Budget(thinking_tokens=limit)),
        horizon="answer",
        as_reply=True,
    )
    assert proposal.chains[0][-1].answer == "It is 7."


async def test_rewards_read_the_answer_behind_special_delimiters() -> None:
    policy = policy_that_writes(
        "[THINK]Answer: 5[/THINK]Answer: 7", special_tokens=("[THINK]", "[/THINK]")
    )
    request = GenerateRequest(policy.prompts.policy(SCORED), max_tokens=64)
    generation = await policy.engine.generate(request)
    assert policy.read_answer(SCORED, generation.completions[0]) == "7"


async def test_a_step_of_ten_thousand_tokens_ends_as_cut_pieces() -> None:
    def reply(prompt: str, index: int, rng: random.Random) -> str:
        return "word " * 10_000

    policy = policy_of(
        ScriptedEngine.from_function(reply, context_length=12_000), max_step_tokens=1000
    )
    steps = await steps_of(policy, "step", max_tokens=5000)
    assert [step.finish_reason for step in steps] == ["length"] * 5
    assert sum(map(len, ids_of(steps))) == 5000


@pytest.mark.parametrize("step_boundary", ["blank_line", "tokens", "sentence"])
async def test_a_cut_step_is_continued_in_the_middle_of_a_number(step_boundary: str) -> None:
    text = "So, adding it all up we have 30000 + 40000 and Answer: 123456789123"

    def reply(prompt: str, index: int, rng: random.Random) -> str:
        return text[len(prompt.rpartition("<|assistant|>")[2]) :]

    policy = policy_of(
        ScriptedEngine.from_function(reply), max_step_tokens=3, step_boundary=step_boundary
    )
    steps = await steps_of(policy, "step")
    assert "".join(step.content.reveal().text for step in steps) == text
    assert text_of(steps, policy) == text and steps[-1].answer == "123456789123"
    assert [step.answer for step in steps[:-1]] == [None] * (len(steps) - 1)


def test_the_pocket_has_no_delimiters() -> None:
    pocket = HFTokenizer(resolve_model("pocket"))
    assert find_format(pocket, ThinkSettings(), pocket.encode("Compute 1 + 1.")) is None


def test_one_delimiter_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy\.think\.start .*policy\.think\.end"):
        ThinkSettings(start="<a>")
