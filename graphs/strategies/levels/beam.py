"""Beam search over steps, guided by the critic; with `lookahead`, over what the steps
lead to.

Sample N first steps; keep the N/M best; sample M next steps from each; and so on until
every path has ended. A kept path that has ended makes the beam narrower by one, so that
finished thoughts free their budget instead of being sampled again. Of equal steps one
is kept.

With lookahead k, a candidate is judged by the step that greedy decoding comes to k
steps later. Those steps stay in the tree: when the candidate is kept, the first of them
is one of its M next steps, so nothing that was paid for is thrown away.

Source: Snell et al., "Scaling LLM test-time compute optimally" (arXiv:2408.03314),
section 5.2 and appendix. Beam width there is M; here `beam_width` is the number of kept
paths, N/M, as everywhere else. The paper scores a path by its last step
(`aggregation=last`); with verdicts of local scope the product is the probability that
all steps are right.
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
        """Paths that may be kept."""
        return self.config.beam_width

    def allocate(
        self,
        tree: ReasoningTree,
        candidates: NDArray[np.int64],
        scores: NDArray[np.float64],
        budget: int,
    ) -> Level:
        foreseen = (
            [self._foreseen(tree, node) for node in candidates.tolist()]
            if self.config.lookahead
            else candidates
        )
        kept = candidates[np.argsort(-scores[foreseen], kind="stable")][:budget]
        open_nodes = kept[~tree.terminal[kept]]
        share = self.config.num_samples // self.config.beam_width
        return Level(
            open_nodes, np.full(len(open_nodes), share), budget - (len(kept) - len(open_nodes))
        )

    def prepare(self, tree: ReasoningTree, candidates: NDArray[np.int64]) -> list[Expansion]:
        if not self.config.lookahead:
            return []
        ends = [(node, self._foreseen(tree, node)) for node in candidates.tolist()]
        return [
            Expansion(end, temperature=0.0)
            for node, end in ends
            if tree.depth[end] - tree.depth[node] < self.config.lookahead
            and not tree.closed[end]
            and not self.is_last(tree, end)
        ]

    def _foreseen(self, tree: ReasoningTree, node: int) -> int:
        """Returns the last step of what greedy decoding was seen to write below `node`,
        at most `lookahead` steps down.
        """
        for _ in range(self.config.lookahead):
            if node not in tree.greedy_child:
                break
            node = tree.greedy_child[node]
        return node
