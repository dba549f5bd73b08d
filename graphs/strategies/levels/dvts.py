"""Diverse verifier tree search: independent greedy searches, so that one direction that
the critic overrates cannot fill the beam.

Sample N first steps in one request; the S best distinct ones seed a subtree each. In
every subtree sample N/S next steps, keep the single best of them, and repeat until it
ends the thought or no step can be continued. Subtrees never compete; the answer is
chosen among the answers of all. If the policy sampled fewer than S distinct first
steps, there are fewer subtrees, each with a larger share of the samples.

Source: Beeching, Tunstall and Rush, "Scaling test-time compute with open models"
(Hugging Face, 2024). Deviations: there each subtree takes the best of its own share of
the first steps, so that two may start with the same step; here seeds are distinct.
There M is the number of samples of one subtree; here `beam_width` is the number of
subtrees. There the answers are the candidates of each subtree's last step, finished or
not; here every answer in the tree counts and unfinished paths do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema.search import DvtsConfig
from graphs.strategies.levels.levels import Level, LevelSearch
from graphs.tree import ROOT, ReasoningTree


@dataclass(frozen=True)
class Dvts(LevelSearch):
    """See the module. The budget of a level is the number of samples per node."""

    config: DvtsConfig

    def allocate(
        self,
        tree: ReasoningTree,
        candidates: NDArray[np.int64],
        scores: NDArray[np.float64],
        budget: int,
    ) -> Level:
        ranked = candidates[np.argsort(-scores[candidates], kind="stable")]
        parents = tree.parent[ranked]
        if parents[0] == ROOT:
            kept = ranked[: self.config.beam_width]
            budget = self.config.num_samples // len(kept)
        else:
            _, best_of_parent = np.unique(parents, return_index=True)
            kept = ranked[np.sort(best_of_parent)]
        open_nodes = kept[~tree.terminal[kept]]
        return Level(open_nodes, np.full(len(open_nodes), budget), budget)
