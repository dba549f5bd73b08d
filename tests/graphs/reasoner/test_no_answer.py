"""Why a thought has no answer: derived from hand-made logs, and from whole thoughts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest

from agents.types import Budget, Meter, Question, Usage
from graphs.reasoner.graph import think
from graphs.reasoner.no_answer import EXPLANATIONS, why_no_answer
from graphs.strategies import BestOfN, Greedy, Strategy
from graphs.terminal.answers import audit_view
from graphs.tree import ROOT, Event, Expanded, Expansion, Failed, NoAnswer, ReasoningTree
from tests.graphs.reasoner.test_graph import QUESTIONS, resources_for
from tests.graphs.strategies.make import make
from tests.graphs.tree.logs import QUESTION, make_step

MAX_TOKENS = make_step("x").sampling.max_tokens
ENDED = make_step("I do not know.", answer="")
CUT = make_step("and so on", logprobs=(-0.5,) * MAX_TOKENS, finish_reason="length")
CUT_SHORT = make_step("and", logprobs=(-0.5,) * 5, finish_reason="length")


class Insatiable(Greedy):
    """Asks for more as long as the meter lets it."""

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        return [Expansion(ROOT)]


def reason(
    events: Sequence[Event],
    budget: Budget | None = None,
    strategy: Strategy | None = None,
    context_length: int = 4096,
) -> NoAnswer:
    meter = Meter(budget or Budget())
    meter.spent.add("policy", Usage(generated_tokens=100, calls=3))
    meter.nodes = 3
    return why_no_answer(
        ReasoningTree.replay(QUESTION, events),
        events,
        meter,
        strategy or make(Greedy),
        new_rng=lambda: random.Random(0),
        prompt_tokens=10,
        context_length=context_length,
    )


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([Expanded(0, ((ENDED,),), "answer")], "ended"),
        ([Expanded(0, ((CUT,),), "answer")], "cut_answer"),
        ([Expanded(0, ((CUT,),), "step")], "cut_step"),
        ([Expanded(0, ((CUT_SHORT,),), "answer")], "context_length"),
        (
            [
                Expanded(
                    0, ((make_step("so"), CUT_SHORT), (make_step("so"), ENDED), (ENDED,)), "answer"
                )
            ],
            "ended",
        ),
        (
            [Expanded(0, ((make_step("so"),),), "step"), Failed(1, "context_length")],
            "context_length",
        ),
        ([Expanded(0, ((make_step("so"),),), "step"), Failed(1, "unparsed")], "ended"),
        ([Expanded(0, ((make_step("so"),),), "step")], "stopped"),
    ],
)
def test_the_end_of_the_last_completion_decides(events: list[Event], found: NoAnswer) -> None:
    assert reason(events) == found


def test_a_cut_by_the_budget_differs_from_a_full_context() -> None:
    events = [Expanded(0, ((CUT_SHORT,),), "answer")]
    assert reason(events, Budget(max_tokens=100)) == "budget_tokens"
    assert reason(events, Budget(max_tokens=100), context_length=15) == "context_length"


@pytest.mark.parametrize(
    ("budget", "found"),
    [
        (Budget(max_tokens=100), "budget_tokens"),
        (Budget(max_calls=3, max_tokens=1000), "budget_calls"),
        (Budget(max_nodes=3, max_calls=1000), "budget_nodes"),
        (Budget(max_seconds=0.0, max_tokens=1000), "budget_seconds"),
        (Budget(max_tokens=100, max_nodes=3), "budget_tokens"),
    ],
)
def test_a_cap_is_the_reason_where_the_search_would_go_on_without_it(
    budget: Budget, found: NoAnswer
) -> None:
    assert reason([Expanded(0, ((ENDED,),), "answer")], budget, make(Insatiable)) == found


def test_a_spent_budget_is_not_the_reason_where_the_search_was_done() -> None:
    assert (
        reason(
            [Expanded(0, ((ENDED,),), "answer")], Budget(max_tokens=100, max_calls=3, max_nodes=3)
        )
        == "ended"
    )


def test_every_reason_has_an_explanation() -> None:
    assert set(EXPLANATIONS) == set(get_args(NoAnswer))


@pytest.mark.parametrize(
    ("reply", "overrides", "found"),
    [
        ("I cannot say.", (), "ended"),
        ("so " * 400, ("policy.max_answer_tokens=60",), "cut_answer"),
        (
            "so " * 9000,
            ("policy.max_answer_tokens=8000", "budget.max_tokens=null"),
            "context_length",
        ),
        (
            "so " * 400,
            ("budget.max_tokens=60", "policy.max_answer_tokens=200", "critic.max_tokens=20"),
            "budget_tokens",
        ),
    ],
)
async def test_no_answer_has_a_reason_and_an_auditor_sees_the_last_step(
    reply: str, overrides: tuple[str, ...], found: NoAnswer
) -> None:
    async with resources_for("search=greedy", *overrides) as (key, traces, resources):
        resources.engine._reply = lambda prompt, index, rng: reply  # type: ignore[attr-defined]
        answer = await think(Question(text=QUESTIONS[2]), key)
    assert (answer.status, answer.reason, answer.answer) == ("no_answer", found, None)
    assert traces[0].reason == found and answer.summary_source == traces[0].summary_source == "none"
    assert audit_view(traces[0]).partition("Last step")[2].count(reply[:12].strip())


async def test_an_answered_thought_has_no_reason() -> None:
    async with resources_for("search=best_of_n") as (key, traces, resources):
        assert isinstance(resources.strategy("user"), BestOfN)
        answer = await think(Question(text=QUESTIONS[2]), key)
    assert (answer.status, answer.reason, traces[0].reason) == ("answered", None, None)
