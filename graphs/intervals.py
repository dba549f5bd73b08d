"""Confidence intervals of proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of `total`, with its 95 % Wilson interval."""

    successes: int
    total: int

    @property
    def value(self) -> float:
        """The share in [0, 1]; NaN of nothing."""
        return self.successes / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson score interval; (0, 1) of nothing. Source: Wilson (1927); it keeps its level near 0 and 1, where +-2 se does not."""
        if not self.total:
            return 0.0, 1.0
        n, p, z2 = self.total, self.value, _Z95**2
        center = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, center - half), min(1.0, center + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] ({self.successes}/{self.total})"
