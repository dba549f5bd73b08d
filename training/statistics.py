"""Is the new policy better? Paired statistics of two sets of right and wrong answers to the same questions.

Both are exact or a plain simulation, in standard Python, so that nothing depends on a library of statistics.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from graphs.intervals import Proportion

_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two policies on the same questions."""

    before: Proportion
    after: Proportion
    gained: int
    """Questions that only the second answers right."""
    lost: int
    """Questions that only the first answers right."""
    difference: float
    """Accuracy after minus accuracy before."""
    interval: tuple[float, float]
    """95 % paired bootstrap interval of the difference."""
    p_value: float
    """Of McNemar's exact test: two-sided, that gains and losses are equally likely."""

    @property
    def verdict(self) -> str:
        """`gain`, `loss`, or `no gain` when the interval holds 0."""
        low, high = self.interval
        return "gain" if low > 0 else "loss" if high < 0 else "no gain"


def compare(before: Sequence[bool], after: Sequence[bool], *, seed: int = 0) -> PairedComparison:
    """Returns the comparison of two lists of outcomes; the i-th of both are the same question.

    Raises:
        ValueError: the lists differ in length, or are empty.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} outcomes before and {len(after)} after cannot be paired; ask both the same questions")
    gained = sum(new and not old for old, new in zip(before, after, strict=True))
    lost = sum(old and not new for old, new in zip(before, after, strict=True))
    return PairedComparison(
        before=Proportion(sum(before), len(before)),
        after=Proportion(sum(after), len(after)),
        gained=gained,
        lost=lost,
        difference=(gained - lost) / len(before),
        interval=paired_bootstrap(gained, lost, len(before), rng=random.Random(seed)),
        p_value=mcnemar_exact(gained, lost),
    )


def mcnemar_exact(gained: int, lost: int) -> float:
    """Returns the two-sided p-value of McNemar's exact test: binomial with p = 1/2 over the questions on which both differ.

    Source: McNemar (1947), in the exact form of Fagerland, Lydersen and Laake (2013); 1.0 where they differ on none.
    """
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << n))


def paired_bootstrap(gained: int, lost: int, total: int, *, rng: random.Random, resamples: int = _RESAMPLES) -> tuple[float, float]:
    """Returns the 95 % percentile interval of the difference in accuracy under resampling of questions with their pairs of outcomes.

    A resample depends on how many of its questions were gained and lost alone, so counts are drawn: gained from a binomial, then lost
    from what is left. Source: Efron and Tibshirani (1993), chapter 13.
    """
    if gained == lost == 0:
        return 0.0, 0.0
    differences = []
    for _ in range(resamples):
        more = _binomial(total, gained / total, rng)
        less = _binomial(total - more, lost / (total - gained) if total > gained else 0.0, rng)
        differences.append((more - less) / total)
    differences.sort()
    return differences[int(0.025 * resamples)], differences[math.ceil(0.975 * resamples) - 1]


def _binomial(n: int, p: float, rng: random.Random) -> int:
    """Draws from a binomial distribution by its waiting times: quick where few questions differ."""
    if p <= 0.0 or n == 0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - _binomial(n, 1.0 - p, rng)
    scale, count, position = math.log1p(-p), 0, 0
    while True:
        position += 1 + int(math.log(1.0 - rng.random()) / scale)
        if position > n:
            return count
        count += 1
