"""REBASE, and how it shares samples."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.types import Budget, Meter
from graphs.strategies import Rebase
from graphs.strategies.levels.rebase import Allocation, allocate_samples
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, judged, step, tree_of
from tests.graphs.strategies.world import World, simulate
from tests.seeds import seeds

METER = Meter(Budget())
RNG = random.Random(0)
FOUR = [expanded(ROOT, step("a"), step("b"), step("c"), step("d"))]

numbers = st.integers(0, 64)
temperatures = st.floats(0.01, 100.0)
candidates = st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 9)), min_size=1, max_size=12)
"""(reward, count) each."""


def _shared(
    of: list[tuple[float, int]], budget: int, temperature: float, allocation: Allocation = "exact"
) -> list[int]:
    rewards, counts = (
        np.array([reward for reward, _ in of]),
        np.array([count for _, count in of], np.int32),
    )
    allocated: list[int] = allocate_samples(
        rewards, counts, budget, balance_temperature=temperature, allocation=allocation
    ).tolist()
    return allocated


def _naive(weights: Sequence[float], budget: int) -> list[int]:
    """The released code's loop, in exact arithmetic; `weights` from the highest reward
    down.
    """
    left, total, samples = Fraction(budget), sum(map(Fraction, weights)), []
    for weight in map(Fraction, weights):
        samples.append(math.ceil(left * weight / total) if total else 0)
        left -= samples[-1]
        total -= weight
    return samples


@given(candidates, numbers, temperatures)
def test_the_exact_rule_spends_the_budget_exactly(
    of: list[tuple[float, int]], budget: int, temperature: float
) -> None:
    samples = _shared(of, budget, temperature)
    assert sum(samples) == budget and min(samples) >= 0


@given(candidates, numbers, temperatures)
def test_a_higher_reward_never_gets_less(
    of: list[tuple[float, int]], budget: int, temperature: float
) -> None:
    of = [(reward, 1) for reward, _ in of]
    for allocation in ("exact", "paper"):
        samples = _shared(of, budget, temperature, allocation)
        ranked = [
            n
            for _, n in sorted(
                zip((reward for reward, _ in of), samples, strict=True),
                key=lambda pair: (pair[0], pair[1]),
            )
        ]
        assert ranked == sorted(ranked)


@given(candidates, numbers)
def test_a_hot_softmax_shares_evenly_and_a_cold_one_gives_all_to_the_best(
    of: list[tuple[float, int]], budget: int
) -> None:
    of = [(round(reward, 3), 1) for reward, _ in of]
    assert set(_shared(of, budget, 1e12)) <= {budget // len(of), math.ceil(budget / len(of))}
    best = max(reward for reward, _ in of)
    cold = _shared(of, budget, 1e-6)
    assert sum(n for (reward, _), n in zip(of, cold, strict=True) if reward == best) == budget


@seeds(50, first=10)
def test_the_exact_rule_is_the_released_codes(seed: int) -> None:
    rng = random.Random(seed)
    rewards = sorted((rng.random() for _ in range(rng.randint(1, 20))), reverse=True)
    counts = [rng.randint(1, 5) for _ in rewards]
    temperature, budget = rng.choice([0.05, 0.2, 1.0]), rng.randint(0, 64)
    weights = [
        count * math.exp((reward - rewards[0]) / temperature)
        for reward, count in zip(rewards, counts, strict=True)
    ]
    expected = _naive(weights, budget)
    of = list(zip(rewards, counts, strict=True))
    assert _shared(of, budget, temperature) == expected
    order = rng.sample(range(len(rewards)), len(rewards))
    assert _shared([of[i] for i in order], budget, temperature) == [expected[i] for i in order], (
        "the order of the candidates is of no account"
    )


def test_the_papers_rule_rounds_every_share_for_itself() -> None:
    weights = [1.0, math.exp(-1), math.exp(-3)]
    assert _shared([(0.8, 1), (0.6, 1), (0.2, 1)], 8, 0.2, "paper") == [
        round(8 * weight / sum(weights)) for weight in weights
    ]
    assert _shared([(0.5, 1)] * 16, 7, 0.2, "paper") == [0] * 16, "7/16 each: nobody gets anything"
    assert sum(_shared([(0.5, 1)] * 5, 8, 0.2, "paper")) == 10, "1.6 each"
    assert sum(_shared([(0.5, 1)] * 16, 7, 0.2)) == 7


@pytest.mark.parametrize("allocation", ["exact", "paper"])
def test_a_step_that_was_sampled_three_times_weighs_three(allocation: Allocation) -> None:
    assert _shared([(0.5, 3), (0.5, 1)], 8, 0.2, allocation) == [6, 2]


def test_no_node_gets_no_sample() -> None:
    assert _shared([], 5, 0.2) == _shared([], 5, 0.2, "paper") == []


def _rebase(**options: Any) -> Rebase:
    return make(
        Rebase,
        num_samples=4,
        balance_temperature=0.5,
        selector=Selector("weighted_vote", "last"),
        **options,
    )


def test_samples_go_where_the_reward_is() -> None:
    assert _rebase().select(tree_of([]), METER, RNG) == [Expansion(ROOT, n=4)]
    sure: list[Event] = [*FOUR, judged(1, -9.0), judged(2, 9.0), judged(3, -9.0), judged(4, 9.0)]
    assert _rebase().select(tree_of(sure), METER, RNG) == [Expansion(2, n=2), Expansion(4, n=2)]
    even: list[Event] = [*FOUR, *(judged(node, 0.0) for node in range(1, 5))]
    assert _rebase().select(tree_of(even), METER, RNG) == [
        Expansion(node, n=1) for node in range(1, 5)
    ]


def test_finished_samples_leave_the_budget_as_often_as_they_were_drawn() -> None:
    ended = expanded(ROOT, step("a", answer="1"), step("a", answer="1"), step("b"), step("b"))
    assert _rebase().select(tree_of([ended]), METER, RNG) == [Expansion(2, n=2)]
    again = [ended, expanded(2, step("c", answer="2"), step("d"))]
    assert _rebase().select(tree_of(again), METER, RNG) == [Expansion(4, n=1)]
    assert _rebase().select(tree_of([*again, expanded(4, step("e", answer="3"))]), METER, RNG) == []


def test_what_led_nowhere_leaves_its_share_to_the_others() -> None:
    closed = expanded(
        ROOT, step("a", answer=""), step("b", answer=""), step("c", answer="1"), step("d")
    )
    assert _rebase().select(tree_of([closed]), METER, RNG) == [Expansion(4, n=3)]


def test_samples_that_the_budget_did_not_grant_are_asked_for_again() -> None:
    assert _rebase().select(tree_of([expanded(ROOT, step("a"), step("b"))]), METER, RNG) == [
        Expansion(ROOT, n=2)
    ]


def test_paths_of_the_greatest_length_are_written_through() -> None:
    last = _rebase(max_depth=1)
    assert last.select(tree_of(FOUR), METER, RNG) == [
        Expansion(node, n=1, horizon="answer") for node in range(1, 5)
    ]
    through = [
        Expanded(node, ((step(f"{node}x"), step(f"{node}y", answer="1")),), "answer")
        for node in range(1, 5)
    ]
    assert last.select(tree_of([*FOUR, *through]), METER, RNG) == []


def test_the_cost_is_that_of_sampling_whole_thoughts() -> None:
    assert simulate(make(Rebase, num_samples=16), World(depth=4)).samples == 16 * 5
