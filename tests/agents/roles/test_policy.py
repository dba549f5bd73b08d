"""The policy: steps, their ids, and what ends them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from agents.engines.base import GenerateRequest
from agents.engines.scripted.engine import Rule, ScriptedEngine
from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.prompts import Mistake, PromptFamily, Prompts
from agents.roles.policy import Policy, PolicySettings
from agents.types import Budget, Meter, Question, Step, ThoughtFactor
from configs.schema import PolicyConfig
from tests.scripted_pocket import SPECIAL
from tests.settings import settings_of

QUESTION = Question(text="Compute (19 + 8) * 8.")
FACTORS = (
    ThoughtFactor(name="propose", opening="<|propose|>"),
    ThoughtFactor(name="conclude", opening="<|conclude|>"),
)
SCORED = Question(text="What is 3 + 4?", gold="7")
OPEN = Question(text="What is 3 + 4?")
STEP_ENDS = "\n\n"


def policy_that_says(
    *replies: str | list[str], **settings: object
) -> tuple[Policy, ScriptedEngine]:
    engine = ScriptedEngine(script=[Rule(reply=reply) for reply in replies], special_tokens=SPECIAL)
    options = settings_of(PolicySettings, PolicyConfig(factors=FACTORS), **settings)
    return Policy(engine, Prompts(PromptFamily("pocket"), engine.tokenizer), options), engine


class Thinker(ScriptedTokenizer):
    """The tokenizer of a model whose chat template begins to think."""

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        return [*super().apply_chat_template(messages), *self.encode("<think>\n")]


def chat_policy_that_says(
    *replies: str | list[str], thinks: bool = False, **settings: object
) -> tuple[Policy, ScriptedEngine]:
    engine = ScriptedEngine(script=[Rule(reply=reply) for reply in replies])
    if thinks:
        engine.tokenizer = Thinker()
    options = settings_of(PolicySettings, PolicyConfig(max_step_tokens=96), **settings)
    return Policy(engine, Prompts(PromptFamily("chat"), engine.tokenizer), options), engine


def meter(**caps: int) -> Meter:
    return Meter(Budget(**caps))


async def one_step(policy: Policy, path: tuple[Step, ...] = (), **options: object) -> Step:
    proposal = await policy.propose(QUESTION, path, meter=meter(), **options)  # type: ignore[arg-type]
    return proposal.chains[0][0]


async def test_a_step_ends_with_the_blank_line_and_keeps_its_ids() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 27\n\nnever written")
    step = await one_step(policy)
    content = step.content.reveal()
    assert content.text == "19 + 8 = 27"
    assert engine.tokenizer.decode(content.token_ids) == "19 + 8 = 27" + STEP_ENDS
    assert len(content.logprobs) == len(content.token_ids) and content.forced == 0
    assert (step.factor, step.answer, step.finish_reason) == ("propose", None, "stop")


async def test_the_opening_of_a_factor_is_forced_and_never_trained_on() -> None:
    policy, _ = policy_that_says("19 + 8 = 27\n\n")
    step = await one_step(policy, factor="propose")
    content = step.content.reveal()
    assert content.forced == 1 and math.isnan(content.logprobs[0])
    assert math.isfinite(content.logprob), (
        "the forced token has no share in the step's log-probability"
    )
    assert step.factor == "propose"


async def test_a_continuation_sends_the_ids_that_were_written() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 27\n\n", "<|conclude|>Answer: 216")
    first = await one_step(policy)
    sent: list[tuple[int, ...]] = []
    generate = engine.generate

    async def spy(request):  # type: ignore[no-untyped-def]
        sent.append(request.prompt)
        return await generate(request)

    engine.generate = spy  # type: ignore[method-assign]
    last = await one_step(policy, (first,))
    assert sent[0] == policy.prompts.policy(QUESTION) + first.content.reveal().token_ids
    assert last.answer == "216" and last.is_final


async def test_both_horizons_give_the_same_steps() -> None:
    whole, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n<|conclude|>Answer: 216")
    chain = (await whole.propose(QUESTION, (), meter=meter(), horizon="answer")).chains[0]
    stepped, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n", "<|conclude|>Answer: 216")
    first = await one_step(stepped)
    second = await one_step(stepped, (first,))
    assert [step.content.reveal().token_ids for step in chain] == [
        s.content.reveal().token_ids for s in (first, second)
    ]
    assert [step.answer for step in chain] == [None, "216"]


async def test_a_chain_ends_at_a_backtrack_token() -> None:
    """What was written before stands; the abort is an empty step without an answer,
    whose token was paid for.
    """
    policy, engine = policy_that_says(
        "<|propose|>19 + 8 = 28\n\n<|reflect|>Wait, step 1 is wrong.\n\n",
        backtrack_tokens=("<|reflect|>",),
    )
    proposal = await policy.propose(
        QUESTION, (), meter=(spent := meter()), horizon="answer", allow_backtracking=False
    )
    first, abort = proposal.chains[0]
    assert (first.content.reveal().text, first.finish_reason, first.answer) == (
        "19 + 8 = 28",
        "stop",
        None,
    )
    assert (abort.content.reveal().text, abort.finish_reason, abort.answer) == ("", "stop", "")
    written = first.content.reveal().token_ids + abort.content.reveal().token_ids
    assert engine.tokenizer.decode(written, skip_special_tokens=False) == (
        "<|propose|>19 + 8 = 28\n\n<|reflect|>"
    )
    assert spent.spent.roles["policy"].generated_tokens == len(written)


@pytest.mark.parametrize("factor", [None, "propose"])
@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_a_backtrack_token_alone_is_no_blank_line(
    horizon: Literal["step", "answer"], factor: str | None
) -> None:
    policy, engine = policy_that_says(
        "<|reflect|>Wait, step 1 is wrong.\n\n", "never", backtrack_tokens=("<|reflect|>",)
    )
    proposal = await policy.propose(
        QUESTION, (), meter=meter(), horizon=horizon, factor=factor, allow_backtracking=False
    )
    ((abort,),) = proposal.chains
    assert (abort.content.reveal().text, abort.answer, abort.factor) == ("", "", factor)
    assert abort.content.reveal().forced == (0 if factor is None else 1) and engine.rules_left == 1


async def test_a_policy_that_may_backtrack_goes_on() -> None:
    policy, _ = policy_that_says(
        "<|propose|>1 = 2\n\n<|reflect|>Wait.\n\n<|conclude|>Answer: 216",
        backtrack_tokens=("<|reflect|>",),
    )
    proposal = await policy.propose(QUESTION, (), meter=meter(), horizon="answer")
    assert [step.answer for step in proposal.chains[0]] == [None, None, "216"]


def test_a_backtrack_token_is_one_token() -> None:
    with pytest.raises(
        ValueError,
        match=r"policy.backtrack_tokens: 'Wait, I' is \d+ tokens of .*; name single tokens",
    ):
        policy_that_says("never", backtrack_tokens=("Wait, I",))


async def test_a_cut_step_is_no_finished_step() -> None:
    policy, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n", max_step_tokens=3)
    step = await one_step(policy)
    assert step.finish_reason == "length" and step.answer is None


async def test_an_end_without_an_answer_is_marked_as_such() -> None:
    policy, _ = policy_that_says("I give up")
    step = await one_step(policy)
    assert step.answer == "" and step.is_final


async def test_silence_is_a_typed_outcome() -> None:
    policy, _ = policy_that_says("")
    proposal = await policy.propose(QUESTION, (), meter=meter())
    assert proposal.chains == () and proposal.failure == "unparsed"


async def test_an_exhausted_budget_sends_nothing() -> None:
    policy, engine = policy_that_says("never")
    proposal = await policy.propose(QUESTION, (), meter=meter(max_tokens=0))
    assert proposal.failure == "budget" and engine.rules_left == 1


async def test_a_full_context_sends_nothing() -> None:
    engine = ScriptedEngine(script=[Rule(reply="never")], special_tokens=SPECIAL, context_length=5)
    policy = Policy(
        engine,
        Prompts(PromptFamily("pocket"), engine.tokenizer),
        settings_of(PolicySettings, PolicyConfig()),
    )
    assert (await policy.propose(QUESTION, (), meter=meter())).failure == "context_length"


async def test_mistakes_stand_before_the_new_try() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 28\n\n", "<|correct|>19 + 8 = 27\n\n")
    wrong = await one_step(policy)
    prompts: list[str] = []
    generate = engine.generate

    async def spy(request):  # type: ignore[no-untyped-def]
        prompts.append(engine.tokenizer.decode(request.prompt, skip_special_tokens=False))
        return await generate(request)

    engine.generate = spy  # type: ignore[method-assign]
    await one_step(policy, mistakes=(Mistake(wrong),))
    assert prompts[0].endswith(
        "19 + 8 = 28\n\n<|reflect|> Wait, step 1 is wrong.\n\n<|backtrack|> Back to step 0.\n\n"
    )


async def test_an_unknown_factor_is_refused() -> None:
    policy, _ = policy_that_says("never")
    with pytest.raises(ValueError, match=r"'guess' is not in policy.factors \(propose, conclude\)"):
        await one_step(policy, factor="guess")


async def test_a_step_says_which_adapter_wrote_it() -> None:
    policy, engine = policy_that_says("19 + 8 = 27\n\n", "19 + 8 = 27\n\n")
    engine.info = dataclasses.replace(engine.info, adapters={"terse": "0" * 16})
    assert (await one_step(policy, adapter="terse")).author.adapter == "terse"
    assert (await one_step(policy)).author.adapter is None
    with pytest.raises(
        ValueError, match=r"adapter \(wordy\) is not served by scripted/script, which has terse"
    ):
        await one_step(policy, adapter="wordy")


async def test_an_empty_line_before_the_first_word_belongs_to_the_step() -> None:
    policy, engine = policy_that_says(
        "\n\nnever written", "<|propose|>19 + 8 = 27\n\nnever written"
    )
    step = await one_step(policy)
    content = step.content.reveal()
    assert content.text == "19 + 8 = 27"
    assert engine.tokenizer.decode(content.token_ids) == "\n\n19 + 8 = 27" + STEP_ENDS
    assert len(content.logprobs) == len(content.token_ids) and content.forced == 0


async def chain_of(
    policy: Policy, question: Question = SCORED, path: tuple[Step, ...] = (), **caps: int
) -> tuple[Step, ...]:
    """Writes through to the answer."""
    return (await policy.propose(question, path, meter=meter(**caps), horizon="answer")).chains[0]


async def steps_of(policy: Policy, question: Question = SCORED) -> list[Step]:
    """Writes one step at a time to the end."""
    path: list[Step] = []
    while not path or not (path[-1].is_final or path[-1].finish_reason == "length"):
        path.append((await policy.propose(question, path, meter=meter())).chains[0][0])
    return path


def text_of(step: Step) -> str:
    return step.content.reveal().text


async def test_the_last_mark_counts_and_everything_from_the_first_is_one_step() -> None:
    policy, _ = chat_policy_that_says(
        "3 + 4 = 8\n\nSo \\boxed{8}.\n\nWait, 3 + 4 = 7.\n\n**Final Answer**\n\n\\boxed{7}\n\nDone."
    )
    first, last = await chain_of(policy)
    assert (text_of(first), first.answer, last.answer, last.finish_reason) == (
        "3 + 4 = 8",
        None,
        "7",
        "stop",
    )
    assert text_of(last).startswith("So \\boxed{8}.") and text_of(last).endswith("\\boxed{7}")


async def test_a_whole_completion_is_read_alike_by_search_and_by_rewards() -> None:
    for reply in (
        "Answer: 8\n\nNo.\n\nAnswer: 7",
        "Suppose the answer is 5.\n\nNo.",
        "3\n\n### Answer\n\n7\n\nDone",
        "\\boxed{3}\n\nSo \\boxed{",
    ):
        policy, engine = chat_policy_that_says(reply, reply)
        chain = await chain_of(policy)
        generation = await engine.generate(
            GenerateRequest(policy.prompts.policy(SCORED), max_tokens=256)
        )
        assert (chain[-1].answer or None) == policy.read_answer(SCORED, generation.completions[0])


@pytest.mark.parametrize(
    "remark",
    [
        "Suppose the answer is 5.",
        "Is the answer 8?",
        "If the answer is 8 then 3 + 4 = 8.",
        "So the answer is 8? Wait.",
    ],
)
async def test_a_passing_remark_ends_no_thought(remark: str) -> None:
    policy, _ = chat_policy_that_says(f"{remark}\n\n", "Answer: 7")
    assert [step.answer for step in await steps_of(policy)] == [None, "7"]
    policy, _ = chat_policy_that_says(f"{remark}\n\nAnswer: 7")
    assert [step.answer for step in await chain_of(policy)] == [None, "7"]


THOUGHT = ["3 + 4 = 8, so the answer is 8.\n\n", "Answer: 8\n\n", "No.</think>\n\n", "Answer: 7"]


@pytest.mark.parametrize("thinks", [True, False])
async def test_a_think_block_ends_no_thought_whoever_opened_it(thinks: bool) -> None:
    replies = list(THOUGHT) if thinks else ["<think>\n" + THOUGHT[0], *THOUGHT[1:]]
    policy, _ = chat_policy_that_says(*replies, thinks=thinks)
    assert [step.answer for step in await steps_of(policy)] == [None, None, None, "7"]
    policy, _ = chat_policy_that_says("".join(replies), thinks=thinks)
    assert [step.answer for step in await chain_of(policy)] == [None, None, None, "7"]


@pytest.mark.parametrize(
    "replies",
    [
        ["analysisWe add.\n\n", "Answer: 8\n\n", "No.assistantfinalSo:\n\n", "Answer: 7"],
        [
            "<|channel|>analysis<|message|>We add.\n\n",
            "Answer: 8\n\n",
            "No.<|channel|>final<|message|>So:\n\n",
            "Answer: 7",
        ],
        ["<|channel>thought\nWe add.\n\n", "Answer: 8\n\n", "No.<channel|>So:\n\n", "Answer: 7"],
        ["[THINK]We add.\n\n", "Answer: 8\n\n", "No.[/THINK]So:\n\n", "Answer: 7"],
        ["Answer: Let's think step by step.\n\n", "3 + 4 = 7\n\n", "That is it.\n\n", "Answer: 7"],
    ],
)
async def test_thought_in_any_mark_up_ends_no_thought_and_is_read_alike(replies: list[str]) -> None:
    policy, _ = chat_policy_that_says(*replies)
    assert [step.answer for step in await steps_of(policy)] == [None, None, None, "7"]
    policy, engine = chat_policy_that_says("".join(replies), "".join(replies), "".join(replies[:3]))
    assert [step.answer for step in await chain_of(policy)] == [None, None, None, "7"]
    request = GenerateRequest(policy.prompts.policy(SCORED), max_tokens=256)
    for answer in ("7", None):
        assert policy.read_answer(SCORED, (await engine.generate(request)).completions[0]) == answer


@pytest.mark.parametrize("question", [SCORED, OPEN])
@pytest.mark.parametrize("thinks", [True, False])
async def test_an_unclosed_think_block_has_no_answer(thinks: bool, question: Question) -> None:
    reply = "3 + 4 = 7.\n\nAnswer: 7" if thinks else "<think>3 + 4 = 7.\n\nAnswer: 7"
    policy, _ = chat_policy_that_says(reply, thinks=thinks)
    assert (await chain_of(policy, question))[-1].answer == ""


@pytest.mark.parametrize(
    "blocks",
    [
        ["**Final Answer**\n\n", "7"],
        ["**Final Answer**\n\n", "\\[\n7\n\n", "\\]"],
        ["### Answer\n\n", "7\n\n"],
        ["<answer>\n\n", "7\n\n", "</answer>"],
    ],
)
async def test_a_step_goes_on_from_a_heading_to_its_answer(blocks: list[str]) -> None:
    stepwise, engine = chat_policy_that_says("3 + 4 = 7\n\n", *blocks)
    steps = await steps_of(stepwise)
    assert [step.answer for step in steps] == [None, "7"] and engine.rules_left == 0
    whole, _ = chat_policy_that_says("3 + 4 = 7\n\n" + "".join(blocks))
    chain = await chain_of(whole)
    assert [step.content.reveal().token_ids for step in chain] == [
        step.content.reveal().token_ids for step in steps
    ]
    assert all(
        len(step.content.reveal().logprobs) == len(step.content.reveal().token_ids)
        for step in steps
    )


async def test_samples_that_say_the_same_go_on_in_one_request_and_others_alone() -> None:
    policy, engine = chat_policy_that_says(
        ["**Answer**\n\n", "So 7.\n\n", "**Answer**\n\n", "### Answer\n\n"], ["7", "8"], "9"
    )
    proposal = await policy.propose(SCORED, (), meter=(spent := meter()), n=4)
    assert [chain[0].answer for chain in proposal.chains] == ["7", None, "8", "9"]
    written = sum(len(chain[0].content.reveal().token_ids) for chain in proposal.chains)
    assert spent.spent.roles["policy"].calls == 3 and engine.rules_left == 0
    assert spent.spent.roles["policy"].generated_tokens == written


async def test_a_step_that_may_not_go_on_stays_as_it_is() -> None:
    policy, _ = chat_policy_that_says("**Answer**\n\n", "never")
    proposal = await policy.propose(SCORED, (), meter=meter(max_calls=1))
    assert [(step.answer, step.finish_reason) for step in proposal.chains[0]] == [(None, "stop")]


async def test_empty_lines_do_not_go_on_for_ever() -> None:
    policy, engine = chat_policy_that_says("```\nx\n\n", "\n\n", "\n\n", "never")
    await policy.propose(SCORED, (), meter=meter())
    assert engine.rules_left == 1


async def test_an_open_answer_is_what_the_model_writes_last() -> None:
    plan = "Here is a plan:\n\n1. Wake up\n\n2. Eat"
    stepwise, _ = chat_policy_that_says(
        "Let me think.\n\n", "Here is a plan:\n\n", "1. Wake up\n\n", "2. Eat"
    )
    steps = await steps_of(stepwise, OPEN)
    assert [step.answer for step in steps] == [None, None, None, plan]
    whole, _ = chat_policy_that_says(f"Let me think.\n\n{plan}")
    assert [step.answer for step in await chain_of(whole, OPEN)] == [None, None, None, plan]


async def test_an_open_answer_keeps_its_code() -> None:
    code = "```python\ndef f():\n    x = 1\n\n    return x\n```"
    stepwise, _ = chat_policy_that_says(
        "Here:\n\n", "```python\ndef f():\n    x = 1\n\n", "    return x\n```"
    )
    assert (await steps_of(stepwise, OPEN))[-1].answer == f"Here:\n\n{code}"


async def test_a_mark_within_an_open_answer_does_not_end_it_but_counts() -> None:
    policy, _ = chat_policy_that_says("**Answer:** Paris\n\n", "It lies on the Seine.")
    assert [step.answer for step in await steps_of(policy, OPEN)] == [None, "Paris"]


async def test_an_end_right_behind_the_last_words_is_the_end_of_an_open_answer() -> None:
    policy, _ = chat_policy_that_says("It is Paris.\n\n", "")
    assert [step.answer for step in await steps_of(policy, OPEN)] == [None, "It is Paris."]


@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_what_is_cut_off_is_no_open_answer(horizon: str) -> None:
    policy, _ = chat_policy_that_says(
        "It is Paris, which lies", max_step_tokens=4, max_answer_tokens=4
    )
    ((step,),) = (await policy.propose(OPEN, (), meter=meter(), horizon=horizon)).chains  # type: ignore[arg-type]
    assert (step.answer, step.finish_reason) == (None, "length")


async def reply_of(policy: Policy) -> tuple[Step, ...]:
    return (await policy.propose(OPEN, (), meter=meter(), horizon="answer", as_reply=True)).chains[
        0
    ]


@pytest.mark.parametrize("thinking", ["", "<think>Two parts.\n\nBoth short.</think>\n\n"])
async def test_a_reply_is_one_step_behind_its_think_block(thinking: str) -> None:
    reply = "It is blue.\n\nBlue light is scattered most."
    policy, engine = chat_policy_that_says(thinking + reply)
    *thought, last = await reply_of(policy)
    assert (last.answer, last.content.reveal().text) == (reply, reply)
    assert [step.answer for step in thought] == ([None, None] if thinking else [])
    ids = [token for step in (*thought, last) for token in step.content.reveal().token_ids]
    assert engine.tokenizer.decode(ids) == thinking + reply


async def test_the_steps_before_a_marked_answer_of_a_reply_stay_steps() -> None:
    policy, _ = chat_policy_that_says("3 + 4 is 7.\n\nAnswer: 7")
    assert [step.answer for step in await reply_of(policy)] == [None, "7"]


async def test_a_reply_behind_the_templates_think_tag_ends_with_visible_text() -> None:
    policy, _ = chat_policy_that_says("Two parts.\n\n</think>\n\nIt is\n\nblue.", thinks=True)
    assert (await reply_of(policy))[-1].answer == "It is\n\nblue."
    policy, _ = chat_policy_that_says("Two parts.\n\nIt is\n\nblue.", thinks=True)
    assert (await reply_of(policy))[-1].answer == ""


@pytest.mark.parametrize(("thinks", "read"), [(False, "It is blue.\n\nBlue light"), (True, None)])
async def test_a_reply_that_is_cut_off_is_no_answer_and_can_be_read(
    thinks: bool, read: str | None
) -> None:
    room = len(ScriptedTokenizer().encode("It is blue.\n\nBlue light"))
    policy, _ = chat_policy_that_says(
        "It is blue.\n\nBlue light is scattered most.", thinks=thinks, max_answer_tokens=room
    )
    chain = await reply_of(policy)
    assert (chain[-1].answer, chain[-1].finish_reason) == (None, "length")
    assert policy.read_reply(OPEN, chain) == read


async def test_a_scored_question_has_no_reply() -> None:
    policy, _ = chat_policy_that_says("It is 7.\n\nI think.")
    chain = (
        await policy.propose(SCORED, (), meter=meter(), horizon="answer", as_reply=True)
    ).chains[0]
    assert [step.answer for step in chain] == [None, ""]


async def test_a_mark_that_a_cut_may_have_shortened_is_no_answer() -> None:
    room = len(ScriptedTokenizer().encode("Answer: 7"))
    policy, _ = chat_policy_that_says("Answer: 7 apples", max_answer_tokens=room)
    (step,) = await chain_of(policy)
    assert (step.answer, step.finish_reason) == (None, "length")


async def test_a_mark_before_the_cut_is_an_answer() -> None:
    policy, _ = chat_policy_that_says(
        "Answer: 7\n\nThis is because",
        max_answer_tokens=len(ScriptedTokenizer().encode("Answer: 7\n\nThis")),
    )
    (step,) = await chain_of(policy)
    assert (step.answer, step.finish_reason) == ("7", "stop")


async def test_the_pocket_marks_its_answer_with_or_without_a_gold() -> None:
    policy, _ = policy_that_says("<|propose|>19 + 8 = 27")
    assert (await chain_of(policy, QUESTION))[-1].answer == ""


ROLE_TOKENS = (
    "<|critic|>",
    "<|verify|>",
    "<|reflector|>",
    "<|right|>",
    "<|wrong|>",
    "<|user|>",
    "<|assistant|>",
)


@pytest.mark.parametrize("token", ROLE_TOKENS)
async def test_a_sampled_role_token_ends_the_step_and_is_no_part_of_it(token: str) -> None:
    policy, engine = policy_that_says(
        f"<|propose|>19 + 8 = 28{token}<|right|>\n\n<|conclude|>Answer: 224"
    )
    step = await one_step(policy)
    content = step.content.reveal()
    assert (
        engine.tokenizer.decode(content.token_ids, skip_special_tokens=False)
        == "<|propose|>19 + 8 = 28"
    )
    assert len(content.logprobs) == len(content.token_ids)
    assert (step.answer, step.finish_reason) == ("", "stop"), (
        "the sequence has ended, so nothing is continued behind it"
    )


@pytest.mark.parametrize("token", ROLE_TOKENS)
async def test_a_role_token_behind_an_answer_leaves_the_answer(token: str) -> None:
    policy, _ = policy_that_says(
        f"<|propose|>19 + 8 = 27\n\n<|conclude|>Answer: 216{token}<|right|>"
    )
    [chain] = (await policy.propose(QUESTION, (), meter=meter(), horizon="answer")).chains
    assert [step.answer for step in chain] == [None, "216"]
    ids = [token_id for step in chain for token_id in step.content.reveal().token_ids]
    assert not set(ids) & set(policy.prompts.role_tokens)


async def test_nothing_but_a_role_token_is_no_step() -> None:
    policy, _ = policy_that_says("<|critic|><|right|>", "<|right|>")
    assert (await policy.propose(QUESTION, (), meter=meter())).failure == "unparsed"
    assert (
        await policy.propose(QUESTION, (), meter=meter(), factor="propose")
    ).failure == "unparsed"
