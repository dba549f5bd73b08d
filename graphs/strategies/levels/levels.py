"""Searches that move level by level: every path of the population takes one step per
round.

The population is found anew at every call by walking down from the question: a level is
a set of nodes with the number of samples that each shall have; where some are missing,
they are asked for; where all are there, `allocate` says from the children what the next
level is. What is found depends on the tree alone, so a search goes on after a crash as
if nothing had happened.

Paths that have ended leave the population and take their share of the budget with them.
Of equal steps there is one node (`ReasoningTree`), so nothing is ranked or continued
twice.
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
    """[K], how many next steps each of them shall have been asked for."""
    budget: int
    """What paths that have not ended may use; its unit is the strategy's."""


@dataclass(frozen=True)
class LevelSearch(Stepwise):
    """A search whose paths all have the same length, but for those that have ended."""

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
        """Returns the next level; without nodes: the search is done.

        Args:
            tree: the tree.
            candidates: [K], children of the last level that lead somewhere, in the
                order in which they were made; at least one.
            scores: [N], log-scores of all nodes of the tree.
            budget: what the last level left.
        """

    def prepare(self, tree: ReasoningTree, candidates: NDArray[np.int64]) -> list[Expansion]:
        """Returns what has to be known before `candidates` can be ranked; by default
        nothing.
        """
        return []

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        scores, leading = self.selector.scores(tree), tree.leading()
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
