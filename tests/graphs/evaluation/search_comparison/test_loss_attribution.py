"""What an unsolved question is attributed to, on hand-made trees."""

from __future__ import annotations

import pytest

from graphs.evaluation.search_comparison.loss_attribution import CAUSES, Cause, attribute
from graphs.tree import Event, Failed, ReasoningTree
from graphs.tree.truth import truth_of
from tests.graphs.evaluation.search_comparison.trees import (
    FIRST,
    LOST,
    LUCKY,
    OTHER_SLIP,
    SECOND,
    SLIP,
    SOUND,
    SUM,
    WRONG_END,
    problem_of,
    samples,
    steps_below,
)
from tests.graphs.strategies.trees import judged

BOTH: list[Event] = [steps_below(0, FIRST, SLIP), judged(1, -1.0), judged(2, 1.0)]
"""A right and a wrong first step, nodes 1 and 2."""

LOST_TO: dict[str, tuple[Cause, list[Event]]] = {
    "a right answer was found and not chosen": ("selection", [samples(LOST, SOUND, LOST)]),
    "an answer that is right by luck is no right leaf": ("proposal", [samples(LOST, LUCKY)]),
    "all samples go wrong": ("proposal", [samples(LOST, WRONG_END)]),
    "no first step is right": ("proposal", [steps_below(0, SLIP, OTHER_SLIP)]),
    "the right step was dropped for another": ("pruning", [*BOTH, steps_below(2, "28 * 8 = 224")]),
    "the right step was there when the search ended": ("budget", BOTH),
    "nothing was asked at all": ("budget", []),
    "the policy gave nothing": ("budget", [Failed(0, "budget")]),
    "the right step was continued, and only wrongly": (
        "proposal",
        [*BOTH, steps_below(1, "27 * 8 = 206")],
    ),
    "a kept right path decides, not the one that was dropped": (
        "proposal",
        [
            steps_below(0, FIRST, "8 + 19 = 27"),
            judged(1, 1.0),
            judged(2, 1.0),
            steps_below(1, "27 * 8 = 206"),
        ],
    ),
    "dropped at the second step": (
        "pruning",
        [
            *BOTH,
            steps_below(1, SECOND, "27 * 8 = 206"),
            judged(3, 0.0),
            steps_below(4, "Answer: 206"),
        ],
    ),
    "a round has several requests, and passes nobody over": (
        "budget",
        [*BOTH, steps_below(1, SECOND), steps_below(2, "28 * 8 = 224")],
    ),
    "without verdicts a new node that is continued begins a round": (
        "pruning",
        [steps_below(0, FIRST, SLIP), steps_below(2, "28 * 8 = 224")],
    ),
}


def attributed(events: list[Event], *, solved: bool) -> Cause:
    tree = ReasoningTree.replay(SUM, events)
    return attribute(tree, truth_of(tree, problem_of()), events, solved=solved)


@pytest.mark.parametrize(("cause", "events"), LOST_TO.values(), ids=LOST_TO.keys())
def test_an_unsolved_question_is_lost_to(cause: Cause, events: list[Event]) -> None:
    assert attributed(events, solved=False) == cause


@pytest.mark.parametrize("events", [events for _, events in LOST_TO.values()], ids=LOST_TO.keys())
def test_a_solved_question_is_lost_to_nothing(events: list[Event]) -> None:
    assert attributed(events, solved=True) == "solved"


def test_every_booking_is_met() -> None:
    assert {cause for cause, _ in LOST_TO.values()} == set(CAUSES) - {"solved"}
