"""Base of strategies that expand single steps: backtracking is left to the search, and
the end of the budget still gives an answer.

The search backtracks, not the policy: a completion ends at a backtrack token
(`Expansion.allow_backtracking`). A second try of the policy, with the first one in its
context, is right less often than a new sample from before the mistake.

A stepwise search that ran out of tokens between two steps would have no answer. It
therefore reserves `reserve_tokens`. When the rest does not pay for another round, or
nothing is left to expand, it samples greedily from its best open node through to an
answer: the budget limits how good the answer is, not whether there is one.
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
    """The next actions of a stepwise search, if the budget pays for them."""

    wanted: Sequence[Expansion]
    """Empty: the search is done."""
    open_nodes: Iterable[int]
    """Nodes from which an answer may be sampled when the search ends without one, best
    first; closed ones are skipped."""
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
        """Returns the next round, regardless of its cost."""

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
        """Returns a request for `n` next steps of `node`, or for `n` completions to the
        answer if the path has `max_depth` steps.
        """
        return Expansion(node, n=n, horizon="answer" if self.is_last(tree, node) else "step")

    def expansions(self, tree: ReasoningTree, level: Nodes, samples: Nodes) -> list[Expansion]:
        """Returns `expansion` for every node of one level, [K], with its number of
        `samples`, [K]; nodes with less than 1 are left out.
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
        """Whether the path to `node` has `max_depth` steps, so that samples below it
        run through to the answer.
        """
        return self.context.max_depth is not None and bool(
            tree.depth[node] >= self.context.max_depth
        )

    def _affords(self, meter: Meter, wanted: Sequence[Expansion]) -> bool:
        """Whether the budget pays for a round (one request and one reflection per
        expansion, one verdict per child) and the final completion.
        """
        children = sum(expansion.n for expansion in wanted)
        needs = (
            (meter.tokens_left, self.config.reserve_tokens),
            (meter.calls_left, 2 * len(wanted) + children),
            (meter.nodes_left, children),
        )
        return all(left is None or left > need for left, need in needs)

    def _write_through(self, tree: ReasoningTree, open_nodes: Iterable[int]) -> list[Expansion]:
        """Returns a greedy request for an answer from the first open node that had none
        yet; a second one would give the same answer.
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
