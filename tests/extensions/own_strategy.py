"""A strategy of one's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from agents.types import Meter
from configs.schema.base import ConfigGroup
from graphs.strategies.base import Strategy
from graphs.tree import ROOT, Expansion, ReasoningTree


class FirstOptions(ConfigGroup):
    """Options of `First`."""

    samples: int = Field(2, ge=1)
    """Whole answers that are sampled."""


@dataclass(frozen=True)
class First(Strategy):
    """Samples whole answers and takes the first."""

    config: FirstOptions

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        missing = self.config.samples - int(tree.samples[ROOT])
        return [Expansion(ROOT, n=missing, horizon="answer")] if missing > 0 else []

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return list(new_nodes)

    def choose(self, tree: ReasoningTree) -> int | None:
        return next(iter(tree.answer_leaves()), None)
