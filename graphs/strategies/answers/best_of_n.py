"""Best-of-N and its votes: samples N independent completions, then chooses one of their
answers.

Sources: Cobbe et al., "Training verifiers to solve math word problems"
(arXiv:2110.14168) for `best`; Wang et al., self-consistency (arXiv:2203.11171) for
`majority`; Li et al. (arXiv:2206.02336) for `weighted_vote`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agents.types import Meter
from configs.schema.search import BestOfNConfig
from graphs.strategies.base import Strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Expansion, ReasoningTree


@dataclass(frozen=True)
class BestOfN(Strategy):
    """Samples `num_samples` completions, in one request unless the budget grants fewer
    at a time, judges their steps if the selection needs verdicts, and selects an
    answer.
    """

    config: BestOfNConfig

    @cached_property
    def selector(self) -> Selector:
        """Chooses the answer."""
        return Selector.of(self.config, self.context.canonical)

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        missing = self.config.num_samples - int(tree.samples[ROOT])
        if missing <= 0 or tree.closed[ROOT]:
            return []
        return [
            Expansion(
                ROOT,
                n=missing,
                horizon="answer",
                temperature=self.config.temperature,
                allow_backtracking=True,
            )
        ]

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return list(new_nodes) if self.selector.needs_verdicts else []

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.selector.choose(tree, tree.answer_leaves())
