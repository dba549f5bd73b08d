"""The formulas of PUCT: selection at one node and the policy from visit counts.

Lists are indexed by the children of one node. They are short, so plain floats are
several times faster here than arrays.

Source: AlphaZero, Silver et al. (arXiv:1712.01815), with the pseudocode of its
supplement; noise and temperature of AlphaGo Zero, Silver et al., Nature 550 (2017),
"Methods".
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence


def puct_scores(
    values: Sequence[float],
    priors: Sequence[float],
    visit_counts: Sequence[int],
    *,
    c_puct: float,
    c_base: float,
) -> list[float]:
    """Returns Q + U of every child: U = c P sqrt(sum of N) / (1 + N), where c = log((1
    + sum of N + c_base) / c_base) + c_puct.

    The sum is over the children, so at the first visit of a node U is 0 and the values
    decide alone.
    """
    total = sum(visit_counts)
    scale = (math.log((1 + total + c_base) / c_base) + c_puct) * math.sqrt(total)
    return [
        value + scale * prior / (1 + visit_count)
        for value, prior, visit_count in zip(values, priors, visit_counts, strict=True)
    ]


def softmax(logits: Sequence[float]) -> list[float]:
    """Returns the softmax of `logits`."""
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def dirichlet(rng: random.Random, alpha: float, size: int) -> list[float]:
    """Returns a draw from the symmetric Dirichlet distribution with concentration
    `alpha`.
    """
    # a small alpha underflows
    draws = [max(rng.gammavariate(alpha, 1.0), sys.float_info.min) for _ in range(size)]
    total = sum(draws)
    return [draw / total for draw in draws]


def visit_shares(visit_counts: Sequence[int], *, temperature: float) -> list[float]:
    """Returns N^(1 / temperature), normalised; at temperature 0, 1 for the first most
    visited child.
    """
    if temperature == 0:
        best = visit_counts.index(max(visit_counts))
        return [float(index == best) for index in range(len(visit_counts))]
    highest = max(visit_counts)
    weights = [(visit_count / highest) ** (1 / temperature) for visit_count in visit_counts]
    total = sum(weights)
    return [weight / total for weight in weights]
