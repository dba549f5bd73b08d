"""Confidence intervals of proportions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of `total`, with its 95 % Wilson interval."""

    successes: int
    total: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]; NaN if `total` is 0."""
        return self.successes / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson score interval; (0, 1) if `total` is 0. Unlike +-2 standard
        errors, it keeps its coverage near 0 and 1. Source: Wilson (1927).
        """
        if not self.total:
            return 0.0, 1.0
        n, p, z2 = self.total, self.value, _Z95**2
        center = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, center - half), min(1.0, center + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] ({self.successes}/{self.total})"


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Difference in accuracy between two methods on the same questions."""

    only_first: int
    """Questions that only the first got right."""
    only_second: int
    """Questions that only the second got right."""
    total: int

    @classmethod
    def of(cls, first: Sequence[bool], second: Sequence[bool]) -> PairedDifference:
        """Returns the difference from right/wrong per question, both lists in the same
        order.

        Raises:
            ValueError: the lists differ in length.
        """
        pairs = list(zip(first, second, strict=True))
        return cls(
            sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs), len(pairs)
        )

    @property
    def value(self) -> float:
        """Accuracy of the second minus accuracy of the first; NaN without questions."""
        return (self.only_second - self.only_first) / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference: the adjusted Wald interval of Bonett and
        Price.

        Source: Bonett and Price, "Confidence intervals for a ratio and difference of
        paired proportions" (2012): one is added to both discordant counts and two to
        the total.
        """
        if not self.total:
            return -1.0, 1.0
        n = self.total + 2
        p, q = (self.only_second + 1) / n, (self.only_first + 1) / n
        half = _Z95 * math.sqrt((p + q - (p - q) ** 2) / n)
        return max(-1.0, p - q - half), min(1.0, p - q + half)

    @property
    def p_value(self) -> float:
        """p-value of the two-sided exact McNemar test: the probability that a fair coin
        splits the discordant questions at least as unevenly.
        """
        n, k = self.only_first + self.only_second, min(self.only_first, self.only_second)
        return float(min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n))

    @property
    def verdict(self) -> Literal["gain", "loss", "no gain"]:
        """ "gain" if the interval is above 0, "loss" if it is below 0, or else "no
        gain".
        """
        low, high = self.interval
        return "gain" if low > 0 else "loss" if high < 0 else "no gain"

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:+.3f} [{low:+.3f}, {high:+.3f}] (p = {self.p_value:.3g})"
