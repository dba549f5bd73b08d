"""Greedy decoding: one completion at temperature 0, the first baseline of every
search."""

from __future__ import annotations

import random
from dataclasses import dataclass

from agents.types import Meter
from configs.schema.search import GreedyConfig
from graphs.strategies.base import Strategy
from graphs.tree import ROOT, Expansion, ReasoningTree


@dataclass(frozen=True)
class Greedy(Strategy):
    """Writes one completion to its answer."""

    config: GreedyConfig

    @property
    def takes_whole_reply(self) -> bool:
        return True

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        return (
            []
            if tree.children[ROOT] or tree.closed[ROOT]
            else [Expansion(ROOT, horizon="answer", temperature=0.0, allow_backtracking=True)]
        )

    def choose(self, tree: ReasoningTree) -> int | None:
        return next(iter(tree.answer_leaves()), None)
