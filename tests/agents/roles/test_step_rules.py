"""Laws of every rule of where a step ends, and of the policy that follows it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.engines.scripted.engine import ScriptedEngine
from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.prompts import PromptFamily, Prompts
from agents.roles.policy import Policy, PolicySettings
from agents.roles.segmentation import StepBoundary, StepRule, cut_steps, step_rule
from agents.types import Budget, Meter, Question, Step
from configs.schema import PolicyConfig
from tests.settings import settings_of

TOKENIZER = ScriptedTokenizer()
RULES: dict[StepBoundary, StepRule] = {
    name: step_rule(name, max_tokens=8, min_characters=20, max_characters=60)
    for name in get_args(StepBoundary)
}
TEXT_RULES = [name for name in RULES if name != "tokens"]

FRAGMENTS = (
    "3 + 4 is 7. ",
    "So it is 7. ",
    "Wait, no! ",
    "Let me check: ",
    "Is it? ",
    "Dr. Smith pays 3.14, e.g. twice. ",
    "1. First\n",
    "- item.\n",
    "答案是七。",
    "\\[\n",
    "\\]\n",
    "$x. y$ ",
    "```\n",
    "x = 1. \n",
    "| a | b. |\n",
    "**Final Answer**\n",
    "Answer: 7\n",
    "Therefore",
    ", ",
    "\n",
    "\n\n",
    "word ",
    '"Yes." ',
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=14).map("".join)


def texts(text: str, rule: StepRule) -> list[str]:
    ids = TOKENIZER.encode(text)
    return [TOKENIZER.decode(ids[cut]) for cut in cut_steps(ids, TOKENIZER, rule)]


@pytest.mark.parametrize("name", RULES)
@given(text=TEXTS)
@settings(max_examples=40)
def test_steps_cover_every_token_once_and_in_order(name: StepBoundary, text: str) -> None:
    ids = TOKENIZER.encode(text)
    cuts = cut_steps(ids, TOKENIZER, RULES[name])
    assert [token for cut in cuts for token in ids[cut]] == ids
    assert all(cut.stop > cut.start for cut in cuts)


@pytest.mark.parametrize("name", RULES)
@given(text=TEXTS)
@settings(max_examples=25)
def test_what_follows_a_boundary_never_moves_it(name: StepBoundary, text: str) -> None:
    rule, ids = RULES[name], TOKENIZER.encode(text)
    found = [rule.first_end(ids[:end], TOKENIZER) for end in range(len(ids) + 1)]
    decided = [end for end in found if end is not None]
    assert len(set(decided)) <= 1 and found[len(found) - len(decided) :] == decided


def policy_that_writes(text: str, name: StepBoundary, **changes: object) -> Policy:
    """Returns a policy whose model continues `text`, token for token."""

    def reply(prompt: str, index: int, rng: random.Random) -> str:
        written = prompt.rpartition("<|assistant|>")[2]
        assert text.startswith(written)
        return text[len(written) :]

    engine = ScriptedEngine.from_function(reply)
    options = {"step_boundary": name, "min_step_characters": 20, "max_step_characters": 60}
    group = PolicyConfig(max_step_tokens=200, max_answer_tokens=2000)
    return Policy(
        engine,
        Prompts(PromptFamily("chat"), engine.tokenizer),
        settings_of(PolicySettings, group, **options | changes),
    )


OPEN = Question(text="What is 3 + 4?")
SCORED = Question(text="What is 3 + 4?", gold="7")


async def one_by_one(policy: Policy, question: Question) -> list[Step]:
    path: list[Step] = []
    while not (path and path[-1].is_final):
        proposal = await policy.propose(question, path, meter=Meter(Budget()))
        if not proposal.chains:
            break
        [chain] = proposal.chains
        path += chain
    return path


async def in_one_piece(policy: Policy, question: Question) -> Sequence[Step]:
    proposal = await policy.propose(question, (), meter=Meter(Budget()), horizon="answer")
    return proposal.chains[0] if proposal.chains else ()


@pytest.mark.parametrize("name", RULES)
@given(text=TEXTS.map(str.strip))
@settings(max_examples=30, deadline=None)
async def test_steps_one_by_one_are_those_of_a_whole_completion(
    name: StepBoundary, text: str
) -> None:
    assume("\n" * 6 not in text)
    text = text.replace("答案是七。", "")  # a token may hold a part of a character
    changes = {"max_step_tokens": 8} if name == "tokens" else {}
    policy = policy_that_writes(text, name, **changes)
    whole, steps = await in_one_piece(policy, OPEN), await one_by_one(policy, OPEN)
    assert [step.content.reveal().token_ids for step in steps] == [
        step.content.reveal().token_ids for step in whole
    ]
    assert [step.finish_reason for step in steps] == [step.finish_reason for step in whole]
    assert [step.answer for step in steps] == [step.answer for step in whole]


@pytest.mark.parametrize("name", [name for name in TEXT_RULES if name != "blank_line"])
@pytest.mark.parametrize(
    "block",
    [
        "\\[\nx. y\n= 7\n\\]",
        "$$\n7. 8\n$$",
        "```python\nx = 1. \ny = 2\n```",
        "| a | b |\n|---|---|\n| 1. 2 | 3 |",
        "Here they are:\n- one",
        "**Final Answer**\n7",
        "### Answer\n7",
        "## A title\nText",
        "Answer:\n\n7",
    ],
)
def test_blocks_that_belong_together_are_not_split(name: StepBoundary, block: str) -> None:
    steps = texts(f"It begins so here.\n{block}\nIt ends.", RULES[name])
    assert sum(block in step for step in steps) == 1


@pytest.mark.parametrize("name", ["sentence", "marker"])
@pytest.mark.parametrize(
    "part",
    [
        "3.14 metres",
        "e.g. So it goes",
        "Dr. So",
        "J. R. So",
        "`a. So b`",
        "\\(x. So y\\)",
        "$x. So y$",
        "U.S. So",
        "No. So",
        "well... So",
        "z.B. So",
    ],
)
def test_a_full_stop_inside_a_sentence_ends_nothing(name: StepBoundary, part: str) -> None:
    steps = texts(f"Here we have a sentence with {part} in it. So this is the end.", RULES[name])
    assert len(steps) == 2 and part in steps[0]


@pytest.mark.parametrize("number", ["1. ", "12. ", "a. ", "Step 1. ", "### 1. "])
def test_the_number_of_an_item_belongs_to_the_item(number: str) -> None:
    assert texts(f"One.\n{number}Two. Three.", RULES["sentence"]) == [
        "One.",
        f"\n{number}Two.",
        " Three.",
    ]


def test_sentences_end_with_their_quotes_and_at_lines() -> None:
    text = 'It costs $5. "Does it?" Yes!\nx = 1\n好。是'
    assert texts(text, RULES["sentence"]) == [
        "It costs $5.",
        ' "Does it?"',
        " Yes!",
        "\nx = 1\n",
        "好。",
        "是",
    ]


def test_a_marked_step_has_its_least_and_greatest_length() -> None:
    short, long = "Two. So it is. ", "This sentence is long enough for it. "
    assert texts(f"{short}{long}So yes. Therefore no.", RULES["marker"]) == [
        f"{short}{long}".rstrip(),
        " So yes. Therefore no.",
    ]
    assert texts(long * 4, RULES["marker"]) == [(long * 2).rstrip(), f" {(long * 2).rstrip()}", " "]
    assert len(texts(f"{long}Some people say so. Sophie, too.", RULES["marker"])) == 1


def test_a_line_is_a_step_and_a_blank_line_is_none() -> None:
    assert texts("a\n\nb\nHere:\n- c\n- d", RULES["newline"]) == [
        "a\n",
        "\nb\n",
        "Here:\n- c\n",
        "- d",
    ]


class Counting(ScriptedTokenizer):
    """Counts the tokens that are decoded."""

    decoded = 0

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        self.decoded += len(token_ids)
        return super().decode(token_ids, skip_special_tokens=skip_special_tokens)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("piece", ["```\na. b\n", "a = 1. So\n", "| a. b |\n", "`a. b ", "x. " * 9])
def test_the_work_per_token_does_not_grow_with_the_text(name: StepBoundary, piece: str) -> None:
    shares = []
    for size in (50, 500):
        tokenizer = Counting()
        ids = tokenizer.encode("```\n" + piece * size)
        cut_steps(ids, tokenizer, RULES[name])
        shares.append((tokenizer.decoded + 50) / len(ids))
    assert shares[1] <= shares[0] * 1.1


@pytest.mark.parametrize(("name", "most"), [("sentence", 1.2), ("marker", 1.5), ("newline", 1.05)])
async def test_what_is_dropped_behind_a_boundary_costs_little(
    name: StepBoundary, most: float
) -> None:
    text = "We add three and four first. So that is seven in all, of course.\n" * 12
    policy = policy_that_writes(text.strip(), name)
    meter, path = Meter(Budget()), list[Step]()
    while not (path and path[-1].is_final):
        path += (await policy.propose(OPEN, path, meter=meter)).chains[0]
    kept = sum(len(step.content.reveal().token_ids) for step in path)
    assert meter.spent.total.generated_tokens <= most * kept
