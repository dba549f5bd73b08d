"""Compute-optimal search: estimates the difficulty of a question from a few samples,
and picks the strategy and its budget by it.

System 1: `probe_samples` whole answers. Where they agree, the question is easy, and the
vote is the answer. System 2: where they do not, the strategy configured for that
difficulty searches on from the tree of the probe, so nothing is sampled twice.

Difficulty is estimated without the right answer: 1 - the agreement of the probe, or 1 -
the mean probability, by the critic, that its answers are right. The thresholds and the
strategies are tuned on validation questions.

Source: Snell et al. (arXiv:2408.03314), section 3.2: the compute-optimal strategy as a
function of model-predicted difficulty; they estimate it from 2048 samples, whose cost
they leave out. Here the cost of the probe counts.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.types import Meter
from configs.schema.search import (
    BeamConfig,
    BestOfNConfig,
    ComputeOptimalConfig,
    DvtsConfig,
    ParticlesConfig,
    PosteriorConfig,
    RebaseConfig,
)
from configs.schema.search.base import Selecting
from graphs.strategies.answers.best_of_n import BestOfN
from graphs.strategies.base import Strategy
from graphs.strategies.levels.beam import Beam
from graphs.strategies.levels.dvts import Dvts
from graphs.strategies.levels.particles import Particles
from graphs.strategies.levels.rebase import Rebase
from graphs.strategies.posterior.posterior import Posterior
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Backup, Expansion, ReasoningTree

SEARCHERS: Mapping[str, tuple[type[Strategy], type[Any]]] = {
    "best_of_n": (BestOfN, BestOfNConfig),
    "beam": (Beam, BeamConfig),
    "dvts": (Dvts, DvtsConfig),
    "rebase": (Rebase, RebaseConfig),
    "particles": (Particles, ParticlesConfig),
    "posterior": (Posterior, PosteriorConfig),
}
"""The strategies that can go on from a probe, with their options."""


@dataclass(frozen=True)
class ComputeOptimal(Strategy):
    """See the module. Difficulties in [0, 1]."""

    config: ComputeOptimalConfig

    @cached_property
    def selector(self) -> Selector:
        """Chooses among the probe's answers, by majority."""
        return Selector.of(self.config, self.context.canonical, selection="majority")

    @cached_property
    def medium(self) -> Strategy:
        """The strategy for questions that are neither easy nor hard."""
        return self._searcher(self.config.medium, self.config.medium_samples)

    @cached_property
    def hard(self) -> Strategy:
        """The strategy for hard questions."""
        return self._searcher(self.config.hard, self.config.hard_samples)

    @property
    def tokens_to_hold_back(self) -> int:
        return max(self.medium.tokens_to_hold_back, self.hard.tokens_to_hold_back)

    def select(
        self, tree: ReasoningTree, meter: Meter, rng: random.Random
    ) -> Sequence[Expansion | Backup]:
        missing = self.config.probe_samples - len(tree.ends)
        if missing > 0 and not tree.closed[ROOT]:
            return [Expansion(ROOT, n=missing, horizon="answer")]
        searcher = self.searcher(tree)
        return [] if searcher is None else searcher.select(tree, meter, rng)

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the nodes that the searcher wants judged, those of the probe
        included; with `estimate="critic"`, first all nodes of the probe.
        """
        unjudged = [node for node in range(1, len(tree)) if not tree.verdicts[node]]
        if self.config.estimate == "critic" and len(tree.ends) <= self.config.probe_samples:
            return unjudged
        searcher = self.searcher(tree)
        return [] if searcher is None else searcher.to_judge(tree, unjudged)

    def to_back_up(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[Backup]:
        searcher = self.searcher(tree)
        return [] if searcher is None else searcher.to_back_up(tree, new_nodes)

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        searcher = self.searcher(tree)
        return [] if searcher is None else searcher.to_reflect(tree, new_nodes)

    def is_exhausted(self, tree: ReasoningTree, node: int) -> bool:
        searcher = self.searcher(tree)
        return searcher is not None and searcher.is_exhausted(tree, node)

    def choose(self, tree: ReasoningTree) -> int | None:
        searcher = self.searcher(tree)
        return (
            self.selector.choose(tree, tree.answer_leaves())
            if searcher is None
            else searcher.choose(tree)
        )

    def searcher(self, tree: ReasoningTree) -> Strategy | None:
        """Returns the strategy that searches on; None where the vote of the probe is
        the answer. The result is the same at every call, because only the probe counts.
        """
        difficulty = self.difficulty(tree)
        if difficulty < self.config.easy_below:
            return None
        return self.hard if difficulty >= self.config.hard_from else self.medium

    def _searcher(self, name: str, num_samples: int) -> Strategy:
        """Returns a searcher with default options, except for the number of samples and
        how answers are chosen.
        """
        strategy, options = SEARCHERS[name]
        chosen = {option: getattr(self.config, option) for option in Selecting.model_fields}
        shared = chosen if issubclass(options, Selecting) else {}
        return strategy(options(num_samples=num_samples, **shared), self.context)

    def difficulty(self, tree: ReasoningTree) -> float:
        """Returns the difficulty estimated from the probe, in [0, 1]: 1 if it has no
        answer, by agreement if nothing was judged.
        """
        ends = tree.ends[: self.config.probe_samples]
        answered = [end for end in ends if tree.answered[end]]
        if not answered:
            return 1.0
        if self.config.estimate == "critic" and any(
            tree.judged[node] for end in answered for node in tree.path(end)
        ):
            return 1.0 - sum(math.exp(self.selector.score(tree, end)) for end in answered) / len(
                ends
            )
        votes = Counter(self.selector.canonical(tree.step(end).answer or "") for end in answered)
        return 1.0 - votes.most_common(1)[0][1] / len(ends)
