"""Beam search over steps, guided by the critic, optionally with lookahead.

Sample N first steps; keep the N/M best; sample M next steps from each; and so on until
every path has ended. A kept path that has ended narrows the beam by one and frees its
budget. Equal steps are one node.

With lookahead k, a candidate is ranked by the score of the step that greedy decoding
reaches k steps later. Those steps stay in the tree: if the candidate is kept, the first
of them is one of its M next steps.

Source: Snell et al., "Scaling LLM test-time compute optimally" (arXiv:2408.03314),
section 5.2 and appendix. Beam width there is M; here `beam_width` is the number of kept
paths, N/M. The paper scores a path by its last step (`aggregation=last`); with verdicts
of local scope the product is the probability that all steps are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema.search import BeamConfig
from graphs.strategies.levels.levels import Level, LevelSearch
from graphs.tree import Expansion, ReasoningTree


@dataclass(frozen=True)
class Beam(LevelSearch):
    """See the module."""

    config: BeamConfig

    @property
    def first_budget(self) -> int:
        """Number of paths to keep."""
        return self.config.beam_width

    def allocate(
        self,
        tree: ReasoningTree,
        candidates: NDArray[np.int64],
        scores: NDArray[np.float64],
        budget: int,
    ) -> Level:
        ends = (
            [self._lookahead_end(tree, node) for node in candidates.tolist()]
            if self.config.lookahead
            else candidates
        )
        kept = candidates[np.argsort(-scores[ends], kind="stable")][:budget]
        open_nodes = kept[~tree.terminal[kept]]
        share = self.config.num_samples // self.config.beam_width
        return Level(
            open_nodes, np.full(len(open_nodes), share), budget - (len(kept) - len(open_nodes))
        )

    def prepare(self, tree: ReasoningTree, candidates: NDArray[np.int64]) -> list[Expansion]:
        if not self.config.lookahead:
            return []
        ends = [(node, self._lookahead_end(tree, node)) for node in candidates.tolist()]
        return [
            Expansion(end, temperature=0.0)
            for node, end in ends
            if tree.depth[end] - tree.depth[node] < self.config.lookahead
            and not tree.closed[end]
            and not self.is_last(tree, end)
        ]

    def _lookahead_end(self, tree: ReasoningTree, node: int) -> int:
        """Returns the last greedily decoded step below `node`, at most `lookahead`
        steps down.
        """
        for _ in range(self.config.lookahead):
            if node not in tree.greedy_child:
                break
            node = tree.greedy_child[node]
        return node
