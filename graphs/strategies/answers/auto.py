"""Routing between system 1 and system 2: posterior search for questions whose answer is
computed, one greedy completion for all others.

The route depends on the question alone (graphs/strategies/answers/routing.py), so it
costs nothing. A question that is searched is asked for a marked answer, also by a chat
model and without a gold: samples can only be compared by their answers. How long the
search lasts depends on the samples: it stops when the first ones agree and the critic
does not object.

`python -m tests.bench.routing` measures the route, accuracy and tokens with a chat
model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agents.types import Meter, Question
from configs.schema.search import AutoConfig, GreedyConfig, PosteriorConfig
from graphs.strategies.answers.greedy import Greedy
from graphs.strategies.answers.routing import is_computed
from graphs.strategies.base import Strategy
from graphs.strategies.posterior.posterior import Posterior
from graphs.tree import Backup, Expansion, ReasoningTree


@dataclass(frozen=True)
class Auto(Strategy):
    """See the module. The graph calls the strategy that `for_question` returns; the
    other methods do the same for the question of a tree.
    """

    config: AutoConfig

    @cached_property
    def direct(self) -> Strategy:
        """System 1."""
        return Greedy(GreedyConfig(), self.context)

    @cached_property
    def searcher(self) -> Strategy:
        """System 2."""
        options = self.config.model_dump(exclude={"strategy"})
        return Posterior(PosteriorConfig(**options), self.context)

    @property
    def tokens_to_hold_back(self) -> int:
        return self.searcher.tokens_to_hold_back

    def for_question(self, question: Question) -> Strategy:
        return self.searcher if is_computed(question) else self.direct

    def marks_answer(self, question: Question) -> bool:
        return is_computed(question)

    def select(
        self, tree: ReasoningTree, meter: Meter, rng: random.Random
    ) -> Sequence[Expansion | Backup]:
        return self.for_question(tree.question).select(tree, meter, rng)

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return self.for_question(tree.question).to_judge(tree, new_nodes)

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.for_question(tree.question).choose(tree)
