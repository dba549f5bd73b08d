"""REBASE: allocates the samples of a level to its open paths by a softmax of their
rewards.

Sample N first steps. At each depth the number C_i of samples that finished is
subtracted from the budget, B_i = B_{i-1} - C_i, and the open candidates share the rest
(eq. 1):

    W_j = Round(B_i x c_j exp(R_j / T_b) / sum_k c_k exp(R_k / T_b))

R_j, in [0, 1], is the exponential of the path's score. c_j is the count of the step:
equal steps are separate nodes in the paper and one node here. A sample that was cut off
or ended without an answer is not a candidate and not finished; its share goes to the
others.

Source: Wu et al., "Inference scaling laws" (arXiv:2408.00724), eq. 1. The paper scores
a path by its last step (`aggregation=last`), takes T_b = 0.1 in the text and 0.2 in the
released configuration, and chooses by a weighted vote. Its code rounds differently from
eq. 1; `allocation` offers both rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema.search import RebaseConfig
from graphs.strategies.levels.levels import Level, LevelSearch
from graphs.tree import ReasoningTree

Allocation = Literal["exact", "paper"]
"""`exact`: the released code's rule, which spends the whole budget. `paper`: eq. 1,
which may spend less or more."""

_ROUNDING_ERROR = 1e-9
"""Excess of a float over an integer that is not rounded up."""


@dataclass(frozen=True)
class Rebase(LevelSearch):
    """See the module. The budget of a level is its number of samples."""

    config: RebaseConfig

    def allocate(
        self,
        tree: ReasoningTree,
        candidates: NDArray[np.int64],
        scores: NDArray[np.float64],
        budget: int,
    ) -> Level:
        finished = tree.terminal[candidates]
        budget = max(0, budget - int(tree.count[candidates[finished]].sum()))
        open_nodes = candidates[~finished]
        open_nodes = open_nodes[np.argsort(-scores[open_nodes], kind="stable")]
        samples = allocate_samples(
            np.exp(scores[open_nodes]),
            tree.count[open_nodes],
            budget,
            balance_temperature=self.config.balance_temperature,
            allocation=self.config.allocation,
        )
        return Level(open_nodes[samples > 0], samples[samples > 0], budget)


def allocate_samples(
    rewards: NDArray[np.float64],
    counts: NDArray[np.int32],
    budget: int,
    *,
    balance_temperature: float,
    allocation: Allocation = "exact",
) -> NDArray[np.int64]:
    """Returns how many next steps each candidate gets, [K].

    `exact` goes through the candidates by falling reward, gives each its share of the
    remaining budget, rounded up, and subtracts it and its weight. The best candidates
    profit from the rounding, and the sum is `budget`. `paper` rounds every share
    separately, half to even.

    Args:
        rewards: [K], in [0, 1].
        counts: [K], number of equal samples of each candidate, at least 1.
        budget: number of samples to allocate (B_i).
        balance_temperature: T_b, above 0.
    """
    weights = counts * np.exp((rewards - rewards.max(initial=0.0)) / balance_temperature)
    if allocation == "paper":
        rounded: NDArray[np.int64] = np.rint(budget * weights / weights.sum()).astype(np.int64)
        return rounded
    order = np.argsort(-rewards, kind="stable")
    left = np.cumsum(weights[order][::-1])[::-1]
    given = []
    for weight, weight_left in zip(weights[order].tolist(), left.tolist(), strict=True):
        given.append(math.ceil(budget * weight / weight_left - _ROUNDING_ERROR))
        budget -= given[-1]
        if budget == 0:
            break
    samples = np.zeros(len(weights), np.int64)
    samples[order[: len(given)]] = given
    return samples
