"""Diverse verifier tree search: independent greedy searches, so that one direction that
the critic over-values cannot take all places.

Sample N first steps in one request; the S best distinct ones seed a subtree each. In
every subtree ask the node for N/S next steps, keep the single best of them, and go on
until it ends the thought or nothing leads on. Subtrees never compete; all answers that
were found are put to the choice together. Where the policy wrote fewer distinct first
steps than S, there are fewer subtrees, each with a larger share of the samples.

Source: Beeching, Tunstall and Rush, "Scaling test-time compute with open models"
(Hugging Face, 2024). Deviations: there each subtree takes the best of its own share of
the first steps, so that two may start with the same one, here seeds are distinct; there
M names the samples of one subtree, here `beam_width` is the number of subtrees, as in
beam search the number of kept paths; there the answers are the candidates of each
subtree's last step, finished or not, here every answer that was found on the way counts
and unfinished paths do not.
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
    """See the module. The budget of a level is what each of its nodes may ask for."""

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
