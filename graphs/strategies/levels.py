"""Searches that move level by level: every path of the population takes one step per round.

The population is found anew at every call by walking down from the question: a level is a set of nodes with the number of samples that
each shall have; where some are missing, they are asked for; where all are there, `allocate` says from the children what the next level is.
What is found depends on the tree alone, so a search goes on after a crash as if nothing had happened.

Paths that have ended leave the population and take their share of the budget with them. Of equal steps there is one node
(`ReasoningTree`), so nothing is ranked or continued twice.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from graphs.selection import Selector
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, Expansion, ReasoningTree


class Level(NamedTuple):
    """A level of the population."""

    samples: Mapping[int, int]
    """How many next steps each node shall have been asked for; best node first."""
    budget: int
    """What paths that have not ended may use; its unit is the strategy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSearch(Stepwise):
    """A search whose paths all have the same length, but for those that have ended."""

    num_samples: int
    """Next steps that one level asks for in all (N)."""
    selector: Selector = field(default_factory=lambda: Selector("weighted_vote"))
    """Ranks steps, and chooses the answer."""

    @property
    def first_budget(self) -> int:
        """Budget of the first level, in the strategy's unit; by default samples."""
        return self.num_samples

    @abstractmethod
    def allocate(self, tree: ReasoningTree, candidates: Sequence[int], budget: int) -> Level:
        """Returns the next level, from the children of the last one that lead somewhere; an empty one: the search is done."""

    def prepare(self, tree: ReasoningTree, candidates: Sequence[int]) -> list[Expansion]:
        """Returns what has to be known before `candidates` can be ranked; by default nothing."""
        return []

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        level = Level({ROOT: self.num_samples}, self.first_budget)
        while True:
            nodes = list(level.samples)
            missing = {node: n - int(tree.samples[node]) for node, n in level.samples.items() if not tree.closed[node]}
            if wanted := [self.expansion(tree, node, n) for node, n in missing.items() if n > 0]:
                return Round(wanted, nodes)
            candidates = [child for node in nodes if not self.is_last(tree, node) for child in tree.children[node]]
            candidates = [child for child in candidates if tree.leads_somewhere(child)]
            if wanted := self.prepare(tree, candidates):
                return Round(wanted, [*candidates, *nodes])
            level = self.allocate(tree, candidates, level.budget)
            if not level.samples:
                return Round([], nodes)

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.selector.choose(tree, tree.finals())
