"""Self-consistency with early stopping: stops sampling when the vote is decided.

Completions are sampled in batches. After each batch the two most frequent answers are
compared, ignoring all others: with v1 and v2 votes and a uniform prior, the share of
the first among the two is distributed as Beta(v1 + 1, v2 + 1). Sampling stops when the
probability that the share exceeds 1/2 is above `confidence`. Four votes of four reach
0.96875.

A sample that was cut off or ended without an answer does not vote.

Source: Aggarwal et al., "Let's sample step by step" (arXiv:2305.11860), the Beta
criterion; `batch_size` 1 is the paper's. The vote itself: Wang et al.
(arXiv:2203.11171).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from agents.types import Meter
from configs.schema.search import SelfConsistencyConfig
from graphs.strategies.base import Strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Expansion, ReasoningTree


@dataclass(frozen=True)
class SelfConsistency(Strategy):
    """See the module."""

    config: SelfConsistencyConfig

    @cached_property
    def selector(self) -> Selector:
        """The majority vote."""
        return Selector(canonical=self.context.canonical)

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        missing = self.config.num_samples - int(tree.samples[ROOT])
        if missing <= 0 or tree.closed[ROOT] or self._is_decided(tree):
            return []
        return [
            Expansion(
                ROOT,
                n=min(self.config.batch_size, missing),
                horizon="answer",
                temperature=self.config.temperature,
                allow_backtracking=True,
            )
        ]

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.selector.choose(tree, tree.answer_leaves())

    def _is_decided(self, tree: ReasoningTree) -> bool:
        votes: Counter[str] = Counter()
        for answer, count in tree.votes.items():
            votes[self.selector.canonical(answer)] += count
        first, second = [*sorted(votes.values(), reverse=True), 0, 0][:2]
        return first > 0 and probability_ahead(first, second) > self.config.confidence


def probability_ahead(first: int, second: int) -> float:
    """Returns P(X > 1/2) for X ~ Beta(first + 1, second + 1): the probability that an
    answer with `first` votes beats one with `second`.

    For integers it equals the probability of at most `first` heads in first + second +
    1 throws of a fair coin.
    """
    throws = first + second + 1
    return sum(math.comb(throws, heads) for heads in range(first + 1)) / (1 << throws)
