"""Intervals against naive references."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from graphs.evaluation.intervals import PairedDifference, Proportion


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(0, 50, 0.0, 0.0713), (50, 50, 0.9287, 1.0), (15, 20, 0.5313, 0.8881), (1, 1, 0.2065, 1.0)],
)
def test_wilson_interval_has_the_published_values(
    successes: int, total: int, low: float, high: float
) -> None:
    assert Proportion(successes, total).interval == pytest.approx((low, high), abs=1e-4)


def test_wilson_interval_keeps_its_level() -> None:
    rng = random.Random(0)
    for p in (0.05, 0.4, 0.9):
        covered = 0
        for _ in range(1000):
            low, high = Proportion(sum(rng.random() < p for _ in range(60)), 60).interval
            covered += low <= p <= high
        assert covered > 925


def test_mcnemar_is_the_binomial_test_of_the_discordant_questions() -> None:
    for n, k in itertools.product(range(9), range(9)):
        if k > n:
            continue
        outcomes = [sum(flips) for flips in itertools.product((0, 1), repeat=n)]
        as_uneven = sum(abs(heads - n / 2) >= abs(k - n / 2) for heads in outcomes) / len(outcomes)
        assert PairedDifference(k, n - k, 100).p_value == pytest.approx(as_uneven)


def test_paired_difference_counts_and_covers() -> None:
    difference = PairedDifference.of([True, True, False, False], [True, False, True, True])
    assert (difference.only_first, difference.only_second, difference.value) == (1, 2, 0.25)
    rng = random.Random(1)
    covered = 0
    for _ in range(500):
        first = [rng.random() < 0.5 for _ in range(200)]
        second = [a if rng.random() < 0.7 else rng.random() < 0.8 for a in first]
        low, high = PairedDifference.of(first, second).interval
        covered += low <= 0.3 * (0.8 - 0.5) <= high
    assert covered > 460


def test_nothing_is_no_evidence() -> None:
    assert Proportion(0, 0).interval == (0.0, 1.0) and math.isnan(Proportion(0, 0).value)
    assert PairedDifference(0, 0, 0).p_value == 1.0
    with pytest.raises(ValueError, match="argument"):
        PairedDifference.of([True], [])


def test_a_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert PairedDifference(10, 12, 500).verdict == "no gain"
    assert PairedDifference(2, 30, 500).verdict == "gain"
    assert PairedDifference(30, 2, 500).verdict == "loss"
