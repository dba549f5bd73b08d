"""What strategies that look at single steps have in common: who goes back, and how they
end when the budget does.

The search goes back by itself. So where the policy begins to take a step back, its
completion ends (`Expansion.allow_backtracking`): its own second try, with the first one
in its context, is right less often than a new sample from before the mistake.

A stepwise search that runs out of tokens between two steps has no answer at all. So
each one keeps `reserve_tokens` back, and where the rest does not pay for another round,
or nothing is left to expand, its best open node is written through to an answer,
greedily: the budget decides how good an answer is, not whether there is one.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.types import Meter
from configs.schema.search.base import Stepping
from graphs.strategies.base import Strategy
from graphs.tree import Backup, Expansion, Horizon, ReasoningTree

Nodes = NDArray[np.integer]


class Round(NamedTuple):
    """What a stepwise search would do next, if the budget pays for it."""

    wanted: Sequence[Expansion]
    """Empty: the search is done."""
    open_nodes: Iterable[int]
    """Nodes that an answer may be written from when the search ends without one, best
    first; closed ones among them are skipped."""
    backups: Sequence[Backup] = ()
    """See `Strategy.select`."""


@dataclass(frozen=True)
class Stepwise(Strategy):
    """A search that expands step by step."""

    config: Stepping

    @property
    def tokens_to_hold_back(self) -> int:
        return self.config.reserve_tokens

    @abstractmethod
    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        """Returns what to do next, whatever it costs."""

    def select(
        self, tree: ReasoningTree, meter: Meter, rng: random.Random
    ) -> Sequence[Expansion | Backup]:
        wanted, open_nodes, backups = self.next_round(tree, rng)
        affordable = wanted if wanted and self._affords(meter, wanted) else ()
        if backups or affordable:
            return [*backups, *affordable]
        return [] if tree.answer_leaves() else self._write_through(tree, open_nodes)

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return list(new_nodes)

    def expansion(self, tree: ReasoningTree, node: int, n: int) -> Expansion:
        """Returns a request for `n` next steps of `node`, or for `n` ways through to
        the answer where the path is as long as may be.
        """
        return Expansion(node, n=n, horizon="answer" if self.is_last(tree, node) else "step")

    def expansions(self, tree: ReasoningTree, level: Nodes, samples: Nodes) -> list[Expansion]:
        """Returns `expansion` for every node of one level, [K], that lacks some of
        `samples`, [K]; below 1 nothing is asked.
        """
        if not (samples > 0).any():
            return []
        horizon: Horizon = "answer" if self.is_last(tree, int(level[0])) else "step"
        return [
            Expansion(node, n, horizon)
            for node, n in zip(level.tolist(), samples.tolist(), strict=True)
            if n > 0
        ]

    def is_last(self, tree: ReasoningTree, node: int) -> bool:
        """Whether the path to `node` is as long as may be, so that what comes below it
        is no longer looked at step by step.
        """
        return self.context.max_depth is not None and bool(
            tree.depth[node] >= self.context.max_depth
        )

    def _affords(self, meter: Meter, wanted: Sequence[Expansion]) -> bool:
        """Whether a round (a proposal each, a verdict on every child, a reflection)
        leaves enough to write the thought through.
        """
        children = sum(expansion.n for expansion in wanted)
        needs = (
            (meter.tokens_left, self.config.reserve_tokens),
            (meter.calls_left, 2 * len(wanted) + children),
            (meter.nodes_left, children),
        )
        return all(left is None or left > need for left, need in needs)

    def _write_through(self, tree: ReasoningTree, open_nodes: Iterable[int]) -> list[Expansion]:
        """Asks the first open node for an answer; each node once, for greedy writing
        gives the same again.
        """
        still_open = (
            node
            for node in open_nodes
            if not tree.closed[node] and node not in tree.written_through
        )
        return [
            Expansion(node, horizon="answer", temperature=0.0, allow_backtracking=True)
            for node in islice(still_open, 1)
        ]
