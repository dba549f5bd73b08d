"""Paired statistics against reference numbers and naive simulations."""

from __future__ import annotations

import math
import random

import pytest

from graphs.intervals import Proportion
from training.statistics import _binomial, compare, mcnemar_exact, paired_bootstrap


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021484375), (0, 6, 0.03125), (21, 9, 0.0427739453)],
)
def test_mcnemar_equals_the_binomial_test(gained: int, lost: int, p_value: float) -> None:
    assert mcnemar_exact(gained, lost) == pytest.approx(p_value, rel=1e-6)
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)


def test_mcnemar_equals_counting_all_outcomes() -> None:
    for n in range(1, 11):
        outcomes = [bin(bits).count("1") for bits in range(2**n)]
        for gained in range(n + 1):
            extreme = sum(abs(2 * count - n) >= abs(2 * gained - n) for count in outcomes)
            assert mcnemar_exact(gained, n - gained) == pytest.approx(extreme / 2**n)


@pytest.mark.parametrize(("right", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (450, 500, 0.8706, 0.9234)])
def test_wilson_intervals_are_those_of_the_tables(right: int, total: int, low: float, high: float) -> None:
    assert Proportion(right, total).interval == pytest.approx((low, high), abs=1e-4)


def test_the_paired_bootstrap_equals_resampling_pairs_one_by_one() -> None:
    before, after = [True] * 30 + [False] * 70, [True] * 25 + [False] * 5 + [True] * 15 + [False] * 55
    pairs, rng = list(zip(before, after, strict=True)), random.Random(1)
    naive = []
    for _ in range(4000):
        drawn = rng.choices(pairs, k=len(pairs))
        naive.append(sum(new - old for old, new in drawn) / len(pairs))
    naive.sort()
    found = compare(before, after)
    assert (found.gained, found.lost, found.difference) == (15, 5, 0.1)
    assert found.interval == pytest.approx((naive[100], naive[3899]), abs=0.011)


def test_the_bootstrap_agrees_with_the_normal_approximation() -> None:
    low, high = paired_bootstrap(60, 40, 500, rng=random.Random(0))
    error = math.sqrt((60 + 40) / 500 - (20 / 500) ** 2) / math.sqrt(500)
    assert (low, high) == pytest.approx((0.04 - 1.96 * error, 0.04 + 1.96 * error), abs=0.005)


def test_a_comparison_is_antisymmetric_and_nothing_gained_is_no_gain() -> None:
    before, after = [True, False, False, True], [True, False, False, True]
    assert compare(before, after).verdict == "no gain"
    assert compare(before, after).interval == (0.0, 0.0)
    first, second = [False] * 50 + [True] * 50, [True] * 90 + [False] * 10
    assert compare(first, second).verdict == "gain"
    assert compare(second, first).verdict == "loss"
    assert compare(first, second).difference == -compare(second, first).difference


def test_lists_that_cannot_be_paired_are_refused() -> None:
    for before, after in (([True], [True, False]), ([], [])):
        with pytest.raises(ValueError, match="cannot be paired"):
            compare(before, after)


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (10, 0.0), (10, 1.0), (50, 0.02), (50, 0.9)])
def test_binomial_draws_have_the_right_mean(n: int, p: float) -> None:
    rng = random.Random(0)
    draws = [_binomial(n, p, rng) for _ in range(4000)]
    assert all(0 <= draw <= n for draw in draws)
    assert sum(draws) / len(draws) == pytest.approx(n * p, abs=4 * math.sqrt(n * p * (1 - p) / 4000) + 1e-9)
