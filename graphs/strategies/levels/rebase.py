"""REBASE: every open path of a level gets next steps in proportion to the exponential
of its reward.

Sample N first steps. At each depth the samples that finished leave the budget, B_i =
B_{i-1} - C_i, and the open candidates share what is left by a softmax of their rewards
(eq. 1):

    W_j = Round(B_i x c_j exp(R_j / T_b) / sum_k c_k exp(R_k / T_b))

R_j, in [0, 1], is the exponential of the path's score. c_j is how often the step was
sampled: the paper has equal steps as separate nodes, where here they are one, which
stands for c_j of them. A sample that was cut off, or ended without an answer, is no
candidate and has not finished: its share goes to the others.

Source: Wu et al., "Inference scaling laws" (arXiv:2408.00724), eq. 1. The paper scores
a path by its last step (`aggregation=last`), takes T_b = 0.1 in the text and 0.2 in the
released configuration, and chooses by a weighted vote. Its code does not round as eq. 1
does; `allocation` has both rules.
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
"""`exact`: the released code's rule, which spends the whole budget. `paper`: eq. 1 to
the letter, which may spend less or more."""

_ROUNDING_ERROR = 1e-9
"""What a product of floats may lie above a whole number without being rounded up."""


@dataclass(frozen=True)
class Rebase(LevelSearch):
    """See the module. The budget of a level is its samples."""

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

    `exact` goes through the candidates from the highest reward down, gives each its
    share of what is left, rounded up, and takes it and its weight away: the best get
    what rounding leaves over, and the sum is `budget`. `paper` rounds every share for
    itself, half to even.

    Args:
        rewards: [K], in [0, 1].
        counts: [K], how many equal samples each candidate stands for; at least 1.
        budget: samples to give away (B_i).
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
