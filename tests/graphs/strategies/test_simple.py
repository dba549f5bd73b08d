"""Greedy and best-of-N, and the choice among answers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given

from agents.types import Budget, Meter
from configs.schema.search.base import AnswerSelection, ScoreAggregation
from graphs.strategies import BestOfN, Greedy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Expanded, Expansion, ReasoningTree
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, judged, step, tree_of
from tests.graphs.tree.logs import trees

METER = Meter(Budget())
RNG = random.Random(0)


def test_greedy_asks_once_at_temperature_zero() -> None:
    assert make(Greedy).select(tree_of([]), METER, RNG) == [
        Expansion(ROOT, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]
    answered = tree_of([expanded(ROOT, step("a", answer="4"))])
    assert make(Greedy).select(answered, METER, RNG) == []
    assert make(Greedy).choose(answered) == 1
    assert make(Greedy).choose(tree_of([expanded(ROOT, step("a", cut=True))])) is None


def test_best_of_n_asks_once_for_all_samples() -> None:
    assert make(BestOfN, 5).select(tree_of([]), METER, RNG) == [
        Expansion(ROOT, n=5, horizon="answer", allow_backtracking=True)
    ]
    some = tree_of([expanded(ROOT, step("a", answer="4"), step("b", answer="5"))])
    assert make(BestOfN, 5).select(some, METER, RNG) == [
        Expansion(ROOT, n=3, horizon="answer", allow_backtracking=True)
    ], "the budget granted two"
    assert make(BestOfN, 2).select(some, METER, RNG) == []
    assert make(BestOfN, 5).to_judge(tree_of([]), [1, 2]) == []
    assert make(BestOfN, 5, Selector("best")).to_judge(tree_of([]), [1, 2]) == [1, 2]


def chains() -> list[Expanded]:
    """Three chains: 4 by two samples with weak evidence, 5 by one with strong
    evidence.
    """
    first = (step("a", logprob=-1), step("b", answer="4"))
    second = (step("c", logprob=-2), step("d", answer=" 4 "))
    third = (step("e", logprob=-9), step("f", answer="5"))
    return [Expanded(ROOT, (first, second, third), "answer")]


EVIDENCE = [
    judged(1, 0.1),
    judged(2, 0.1),
    judged(3, -2.0),
    judged(4, 0.1),
    judged(5, 3.0),
    judged(6, 3.0),
]


@pytest.mark.parametrize(
    ("selector", "leaf"),
    [
        (Selector("majority"), 2),
        (Selector("best"), 6),
        (Selector("weighted_vote"), 6),
        (Selector("best", logprob_weight=1.0), 2),
        (Selector("majority", logprob_weight=1.0), 2),
        (Selector("best", "last"), 6),
        (Selector("best", "min"), 6),
        (Selector("best", "mean"), 6),
    ],
)
def test_selection(selector: Selector, leaf: int) -> None:
    tree = tree_of([*chains(), *EVIDENCE])
    assert selector.choose(tree, tree.answer_leaves()) == leaf


def test_scores_are_log_probabilities_of_the_path() -> None:
    tree = tree_of([*chains(), *EVIDENCE])

    def log_sigma(x: float) -> float:
        return -math.log1p(math.exp(-x))

    parts = [log_sigma(-2.0), log_sigma(0.1)]
    expected = {"product": sum(parts), "mean": sum(parts) / 2, "min": min(parts), "last": parts[-1]}
    for aggregation, value in expected.items():
        assert Selector("best", aggregation).score(tree, 4) == pytest.approx(value)  # type: ignore[arg-type]
    assert Selector("best", "product", 0.5).score(tree, 4) == pytest.approx(sum(parts) + 0.5 * -3)


@pytest.mark.parametrize("aggregation", ["last", "min", "product", "mean"])
@pytest.mark.parametrize(
    ("logprob_weight", "outcome_weight"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (0.5, 1.0)]
)
@given(trees())
def test_all_scores_at_once_are_the_scores_one_by_one(
    aggregation: ScoreAggregation, logprob_weight: float, outcome_weight: float, tree: ReasoningTree
) -> None:
    selector = Selector("best", aggregation, logprob_weight, outcome_weight)
    scores = selector.scores(tree)
    assert scores[ROOT] == 0.0
    assert scores[1:].tolist() == pytest.approx(
        [selector.score(tree, node) for node in range(1, len(tree))]
    )


def test_a_choice_among_nothing_is_nothing() -> None:
    assert Selector().choose(tree_of([]), []) is None


@pytest.mark.parametrize("selection", ["best", "weighted_vote"])
def test_a_path_without_a_verdict_does_not_beat_a_judged_one(selection: AnswerSelection) -> None:
    tree = tree_of([expanded(ROOT, step("a", answer="1"), step("b", answer="2")), judged(1, 4.0)])
    assert Selector(selection).choose(tree, [2, 1]) == 1
