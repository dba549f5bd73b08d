"""Laws of scaling against naive references: enumeration, and pools whose truth is
known.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.evaluation.scaling import (
    Count,
    DifficultyMix,
    Pool,
    PowerLaw,
    coverage_curve,
    fit_difficulty_mix,
    fit_power_law,
    majority_accuracy,
    pass_at_k,
    vote_at_k,
    vote_curve,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# --- coverage


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample() -> None:
    for total in range(1, 8):
        for right in range(total + 1):
            samples = [True] * right + [False] * (total - right)
            for k in range(1, total + 1):
                subsets = list(itertools.combinations(samples, k))
                assert pass_at_k(total, right, k) == pytest.approx(
                    sum(map(any, subsets)) / len(subsets)
                )


def test_pass_at_k_is_unbiased() -> None:
    """Over all outcomes of n = 6 samples, each right with chance p, its mean is the
    chance 1 - (1 - p)^k of fresh ones.
    """
    for p, k in itertools.product((0.1, 0.5, 0.8), (1, 2, 5)):
        expected = sum(
            math.comb(6, right) * p**right * (1 - p) ** (6 - right) * pass_at_k(6, right, k)
            for right in range(7)
        )
        assert expected == pytest.approx(1 - (1 - p) ** k)


def test_pass_at_k_holds_for_thousands_of_samples() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01)
    assert pass_at_k(10_000, 5000, 10_000) == 1.0


@pytest.mark.parametrize("k", [0, 5])
def test_more_samples_than_there_are_cannot_be_estimated(k: int) -> None:
    message = rf"k \({k}\) must be from 1 to the number of samples \([49]\)"
    with pytest.raises(ValueError, match=message):
        pass_at_k(4, 2, k)
    with pytest.raises(ValueError, match=message):
        coverage_curve([Count(9, 2), Count(4, 2)], [k], rng=rng())
    with pytest.raises(ValueError, match=message):
        vote_at_k(pool((4, 0, True)), k, rng=rng())


def test_without_a_question_there_is_no_curve() -> None:
    for estimate in (
        lambda: coverage_curve([], [1], rng=rng()),
        lambda: vote_curve([], [1], rng=rng()),
        lambda: fit_difficulty_mix([]),
    ):
        with pytest.raises(ValueError, match="there is no question"):
            estimate()


def test_a_coverage_curve_is_the_mean_over_questions_and_never_falls() -> None:
    counts = [Count(8, right) for right in (0, 1, 3, 8)]
    points = coverage_curve(counts, [1, 2, 4, 8], rng=rng())
    assert [point.value for point in points] == pytest.approx(
        [np.mean([pass_at_k(8, c.right, k) for c in counts]) for k in (1, 2, 4, 8)]
    )
    assert [point.value for point in points] == sorted(point.value for point in points)
    assert all(
        point.interval[0] <= point.value <= point.interval[1] and point.standard_error == 0
        for point in points
    )


def test_bootstrap_intervals_cover_the_truth_of_other_questions() -> None:
    """Questions right with a chance that is uniform in [0, 1] have a coverage of k / (k
    + 1).
    """
    draws = random.Random(3)
    covered = 0
    for repetition in range(100):
        chances = [draws.random() for _ in range(60)]
        counts = [Count(8, sum(draws.random() < chance for _ in range(8))) for chance in chances]
        (point,) = coverage_curve(counts, [2], rng=np.random.default_rng(repetition), resamples=300)
        covered += point.interval[0] <= 2 / 3 <= point.interval[1]
    assert covered >= 87


# --- power law


@given(st.floats(-5, -0.05), st.floats(-1.5, -0.05))
def test_a_power_law_is_found_again(a: float, b: float) -> None:
    law = fit_power_law([(k, PowerLaw(a, b).coverage(k)) for k in (1, 2, 4, 8, 16)])
    assert (
        law is not None
        and law.a == pytest.approx(a, rel=1e-5)
        and law.b == pytest.approx(b, rel=1e-5)
    )
    assert law.coverage(64) == pytest.approx(math.exp(a * 64**b), rel=1e-5)


def test_the_fit_is_least_squares_of_the_double_logarithm() -> None:
    points = [(1, 0.2), (2, 0.5), (4, 0.55), (8, 0.9)]
    slope, intercept = np.polyfit(
        [math.log(k) for k, _ in points], [math.log(-math.log(c)) for _, c in points], 1
    )
    assert fit_power_law(points) == pytest.approx((-math.exp(intercept), slope))


def test_a_power_law_needs_two_sizes_with_coverage_between_0_and_1() -> None:
    assert fit_power_law([(1, 0.0), (2, 1.0), (4, 1.0)]) is None
    assert fit_power_law([(1, 0.3)]) is None
    assert fit_power_law([(2, 0.3), (2, 0.4)]) is None
    assert fit_power_law([(1, 0.3), (2, 0.5), (4, 1.0)]) == fit_power_law([(1, 0.3), (2, 0.5)])


# --- votes


def pool(*samples: tuple[int, int, bool] | tuple[int, int, bool, float]) -> Pool:
    """Returns a pool of (count, answer, right[, weight])."""
    counts, answers, right = zip(
        *((count, answer, is_right) for count, answer, is_right, *_ in samples), strict=True
    )
    return Pool(
        np.array(counts),
        np.array(answers),
        np.array(right),
        np.array([rest[0] if rest else 1.0 for _, _, _, *rest in samples]),
    )


def enumerated(samples: Sequence[tuple[int, int, bool, float]], k: int) -> float:
    """Returns the chance that a vote is right, by going through every order of k
    samples; a tie goes to the answer found first.
    """
    single = [
        (answer, is_right, weight)
        for count, answer, is_right, weight in samples
        for _ in range(count)
    ]
    outcomes = []
    for subset in itertools.permutations(single, k):
        votes: dict[int, float] = {}
        for answer, _, weight in subset:
            if answer >= 0:
                votes[answer] = votes.get(answer, 0.0) + weight
        winner = max(votes, key=lambda answer: votes[answer]) if votes else None
        outcomes.append(any(answer == winner and is_right for answer, is_right, _ in subset))
    return sum(outcomes) / len(outcomes)


@pytest.mark.parametrize(
    "samples",
    [
        [(3, 0, True, 1.0), (2, 1, False, 1.0), (2, 2, False, 1.0)],
        [(2, 0, True, 1.0), (3, 1, False, 1.0), (2, -1, False, 1.0)],
        [(1, 0, True, 0.9), (2, 0, True, 0.1), (3, 1, False, 0.4), (1, 2, True, 0.3)],
        [(3, 0, True, 0.25), (1, 1, False, 0.75), (1, -1, False, 0.0)],
        [(1, 0, True, 0.0), (2, 1, False, 0.0)],
    ],
)
def test_a_vote_is_what_enumeration_says(samples: list[tuple[int, int, bool, float]]) -> None:
    size = sum(count for count, *_ in samples)
    for k in range(1, size + 1):
        value, error = vote_at_k(pool(*samples), k, rng=rng(), draws=4000)
        assert abs(value - enumerated(samples, k)) <= 4 * error + 1e-9, k
        assert error <= 0.5 / math.sqrt(4000) + 1e-9


def test_a_vote_of_the_whole_pool_is_exact() -> None:
    assert vote_at_k(pool((3, 0, True), (2, 1, False)), 5, rng=rng(), draws=3) == (1.0, 0.0)
    assert vote_at_k(pool((2, 0, True), (2, 1, False)), 4, rng=rng(), draws=3) == (0.5, 0.0)
    assert vote_at_k(pool((4, -1, False)), 4, rng=rng(), draws=3) == (0.0, 0.0)


def test_equal_weights_are_a_majority() -> None:
    majority, weighted = (
        pool((5, 0, True, w), (6, 1, False, w), (4, 2, False, w)) for w in (1.0, 0.1)
    )
    assert [vote_at_k(majority, k, rng=rng()) for k in (3, 7)] == [
        vote_at_k(weighted, k, rng=rng()) for k in (3, 7)
    ]


def test_a_duel_is_between_the_modal_right_and_the_modal_wrong_answer() -> None:
    many = pool(
        (2, 0, True),
        (3, 1, False),
        (4, 2, True),
        (1, 0, True),
        (2, 3, False),
        (2, 1, False),
        (9, -1, False),
    )
    assert many.duel == Count(total=4 + 5, right=4) and many.tally == Count(total=23, right=7)
    assert pool((3, 0, True), (1, -1, False)).duel == Count(3, 3)
    assert pool((3, -1, False)).duel == Count(0, 0)


def test_a_vote_curve_averages_questions_and_their_errors() -> None:
    pools = [pool((5, 0, True), (4, 1, False)), pool((9, 0, True)), pool((9, 0, False))]
    one, all_nine = vote_curve(pools, [1, 9], rng=rng(), draws=500)
    assert (
        abs(one.value - (5 / 9 + 1) / 3) < 4 * one.standard_error and 0 < one.standard_error < 0.01
    )
    assert all_nine.value == pytest.approx(2 / 3) and all_nine.standard_error == 0.0
    assert all_nine.interval == (0.0, 1.0), "three questions say little"


# --- the law of majority votes


def naive_majority(chance: float, num_calls: int) -> float:
    def exactly(right: int) -> float:
        return math.comb(num_calls, right) * chance**right * (1 - chance) ** (num_calls - right)

    tie = exactly(num_calls // 2) / 2 if num_calls % 2 == 0 else 0.0
    return sum(exactly(right) for right in range(num_calls // 2 + 1, num_calls + 1)) + tie


@given(st.floats(0, 1), st.integers(1, 60))
def test_majority_accuracy_is_the_binomial_tail(chance: float, num_calls: int) -> None:
    assert majority_accuracy(chance, num_calls) == pytest.approx(
        naive_majority(chance, num_calls), abs=1e-9
    )


def test_majority_accuracy_comes_to_its_limit() -> None:
    for chance, limit in ((0.51, 1.0), (0.5, 0.5), (0.4, 0.0)):
        assert majority_accuracy(chance, 50_001) == pytest.approx(limit, abs=1e-5)
    with pytest.raises(ValueError, match=r"num_calls \(0\)"):
        majority_accuracy(0.5, 0)


@given(st.floats(0, 1), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_the_best_number_of_calls_is_found_by_trying_them_all(
    share: float, one: float, other: float
) -> None:
    mix = DifficultyMix(share, max(one, other), min(one, other))
    accuracies = [mix.accuracy(num_calls) for num_calls in range(1, 602, 2)]
    best = mix.best_num_calls()
    if best is None:
        assert max(accuracies) <= mix.limit + 1e-9
    elif best <= 601:
        assert accuracies[(best - 1) // 2] >= max(*accuracies, mix.limit) - 1e-9
        assert best == 1 or accuracies[(best - 3) // 2] < accuracies[(best - 1) // 2] + 1e-12


def test_votes_rise_and_fall_where_easy_and_hard_questions_are_mixed() -> None:
    mix = DifficultyMix(0.5, 0.9, 0.4)
    accuracies = [mix.accuracy(num_calls) for num_calls in range(1, 30, 2)]
    assert mix.best_num_calls() == 2 * accuracies.index(max(accuracies)) + 1 == 3
    assert accuracies[-1] < accuracies[0] < accuracies[1]
    assert DifficultyMix(1.0, 0.6, 0.3).best_num_calls() is None
    assert DifficultyMix(0.0, 0.6, 0.3).best_num_calls() == 1
    assert DifficultyMix(0.5, 0.9, 0.6).best_num_calls() is None
    assert [DifficultyMix(0.6, 0.9, hard).limit for hard in (0.3, 0.5, 0.7)] == pytest.approx(
        [0.6, 0.8, 1.0]
    )
    assert DifficultyMix(0.6, 0.6, 0.1).best_num_calls() is None, (
        "falls at first, and then rises above where it began"
    )


def test_a_mix_of_two_difficulties_is_found_again() -> None:
    draws = random.Random(0)
    counts = [
        Count(24, sum(draws.random() < chance for _ in range(24)))
        for chance in (0.8 if draws.random() < 0.7 else 0.3 for _ in range(3000))
    ]
    mix = fit_difficulty_mix(counts)
    assert mix == pytest.approx((0.7, 0.8, 0.3), abs=0.02)
    assert mix.accuracy(9) == pytest.approx(DifficultyMix(0.7, 0.8, 0.3).accuracy(9), abs=0.02)
    split = np.mean([count.right / 24 for count in counts if count.right <= 12])
    assert abs(mix.hard - 0.3) < abs(split - 0.3), (
        "splitting at one half is off, for it sorts by luck"
    )


def test_questions_of_one_kind_are_a_mix_without_the_other() -> None:
    assert fit_difficulty_mix([Count(16, 15)] * 10).easy_share == 1.0
    assert fit_difficulty_mix([Count(16, 16)] * 10).best_num_calls() is None
    assert fit_difficulty_mix([Count(16, 0)] * 10).easy_share == 0.0
    assert fit_difficulty_mix([Count(16, 2)] * 10).best_num_calls() == 1
