"""How well critics know siblings apart, on hand-made trees."""

from __future__ import annotations

import math

import pytest

from agents.critics import LengthCritic, OracleCritic
from agents.types import Verdict
from graphs.evaluation.search_comparison.pools import rejudged
from graphs.evaluation.siblings import SiblingPairs, sibling_pairs
from graphs.tree import Event, Expanded, Judged, ReasoningTree
from graphs.tree.truth import truth_of
from tests.graphs.evaluation.search_comparison.trees import (
    FIRST,
    LOST,
    LUCKY,
    SECOND,
    SLIP,
    SOUND,
    SUM,
    WRONG_END,
    problem_of,
    samples,
    steps_below,
    written,
)
from tests.graphs.strategies.trees import judged


async def test_the_oracle_knows_all_siblings_apart_and_a_tie_is_half() -> None:
    events: list[Event] = [samples(SOUND, LUCKY, WRONG_END, SOUND, LOST)]
    oracle = await rejudged(SUM, events, OracleCritic(seed=0))
    truth = truth_of(oracle, problem_of())
    assert sibling_pairs(oracle, truth) == SiblingPairs(pairs=2, wins=2.0)
    same_length = await rejudged(SUM, events, LengthCritic())
    assert sibling_pairs(same_length, truth).accuracy == 0.5


def test_pairs_lie_below_sound_nodes_and_are_hard_if_the_wrong_is_likelier() -> None:
    likely = Expanded(0, ((written(FIRST, logprob=-2.0),), (written(SLIP, logprob=-1.0),)))
    below = [
        steps_below(1, SECOND, "27 * 8 = 206", "27 * 8 = 207"),
        steps_below(2, "28 * 8 = 224", "28 * 8 = 225"),
    ]
    verdicts = [
        judged(1, 1.0),
        judged(2, 2.0),
        judged(3, 1.0),
        judged(4, 0.0),
        judged(5, 1.0),
        judged(6, -1.0),
        judged(7, 1.0),
    ]
    tree = ReasoningTree.replay(SUM, [likely, *below, *verdicts])
    assert sibling_pairs(tree, truth_of(tree, problem_of())) == SiblingPairs(
        pairs=3, wins=1.5, hard_pairs=1, hard_wins=0.0
    )


UNREADABLE = Judged(2, Verdict(score=math.nan, source="token_critic", outcome="unparsed"))


@pytest.mark.parametrize("of_the_wrong_one", [[], [UNREADABLE]], ids=["unjudged", "unreadable"])
def test_a_step_of_which_nothing_was_said_is_in_no_pair(of_the_wrong_one: list[Event]) -> None:
    tree = ReasoningTree.replay(
        SUM, [steps_below(0, FIRST, SLIP), judged(1, 1.0), *of_the_wrong_one]
    )
    assert sibling_pairs(tree, truth_of(tree, problem_of())) == SiblingPairs()


def test_without_pairs_there_is_no_accuracy() -> None:
    assert math.isnan(SiblingPairs().accuracy)
