"""Searches that move level by level: every path of the population takes one step per
round.

Each call recomputes the population from the tree, from the question downwards. A level
is a set of nodes with the number of samples that each should have. If samples are
missing, they are requested; otherwise `allocate` computes the next level from the
children. The population depends on the tree alone, so a search resumes after a crash
without a state of its own.

Paths that have ended leave the population and take their share of the budget with them.
Equal steps are one node (`ReasoningTree`), so no step is ranked or continued twice.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.schema.search.levels import LevelsConfig
from graphs.strategies.selection import Selector
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, Expansion, ReasoningTree


class Level(NamedTuple):
    """A level of the population."""

    nodes: NDArray[np.int64]
    """[K], all of one depth, best first."""
    samples: NDArray[np.int64]
    """[K], the number of next steps to sample from each node in all."""
    budget: int
    """Budget of the paths that have not ended, in the strategy's unit."""


@dataclass(frozen=True)
class LevelSearch(Stepwise):
    """A search whose open paths all have the same length."""

    config: LevelsConfig

    @cached_property
    def selector(self) -> Selector:
        """Ranks steps, and chooses the answer."""
        return Selector.of(self.config, self.context.canonical)

    @property
    def first_budget(self) -> int:
        """Budget of the first level, in the strategy's unit; by default samples."""
        return self.config.num_samples

    @abstractmethod
    def allocate(
        self,
        tree: ReasoningTree,
        candidates: NDArray[np.int64],
        scores: NDArray[np.float64],
        budget: int,
    ) -> Level:
        """Returns the next level; a level without nodes ends the search.

        Args:
            tree: the tree.
            candidates: [K], viable children of the last level (`ReasoningTree.viable`)
                in order of creation; at least one.
            scores: [N], log-scores of all nodes of the tree.
            budget: remaining budget of the last level.
        """

    def prepare(self, tree: ReasoningTree, candidates: NDArray[np.int64]) -> list[Expansion]:
        """Returns expansions that are needed to rank `candidates`; none by default."""
        return []

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        scores, leading = self.selector.scores(tree), tree.viable()
        level = Level(np.array([ROOT]), np.array([self.config.num_samples]), self.first_budget)
        is_parent = np.zeros(len(tree), bool)
        for below in [*tree.levels(), np.array([], np.int64)]:
            nodes = level.nodes
            missing = np.where(tree.closed[nodes], 0, level.samples - tree.samples[nodes])
            if wanted := self.expansions(tree, nodes, missing):
                return Round(wanted, nodes.tolist())
            is_parent[nodes] = not self.is_last(tree, int(nodes[0]))
            candidates = below[is_parent[tree.parent[below]] & leading[below]]
            if wanted := self.prepare(tree, candidates):
                return Round(wanted, [*candidates.tolist(), *nodes.tolist()])
            if len(candidates):
                level = self.allocate(tree, candidates, scores, level.budget)
            if not (len(candidates) and len(level.nodes)):
                break
        return Round([], nodes.tolist())

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.selector.choose(tree, tree.answer_leaves())
