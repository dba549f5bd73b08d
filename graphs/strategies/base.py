"""The interface of a search strategy: a pure object that reads a tree and returns the
next actions.

Law: every method is a function of the tree, the meter, the random numbers and the
strategy's own frozen settings. No I/O, no model, no state of its own: all state is in
the tree. The graph calls, in turn, `select` (what to expand), `needs_priors` (nodes for
which a policy head computes priors), `to_judge` (which new steps need a verdict),
`to_back_up` (values of the simulations) and `to_reflect` (wrong steps for the
reflector), until `select` returns nothing; then `choose` returns the leaf whose answer
is given.

`rng` is seeded anew at every call of `select`, with the seed of the thought. A strategy
that draws level by level thus repeats its draws for earlier levels, and needs no state.

A new strategy is a file with a frozen dataclass that derives from `Strategy` (or from
`Stepwise`, if it expands single steps), an options class with a `strategy` literal that
joins `SearchConfig` in configs/schema/search, and an entry in
`graphs.strategies.build.STRATEGIES`. Its options define `needs_critic` and
`samples_per_prompt`, which the cross-group checks read. Its tests are an entry in
tests/graphs/strategies/test_laws.py (laws, and a golden tree by
LONGTHOUGHT_REGENERATE=1) and one in test_bad_input.py.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.types import Meter, Question, ThoughtFactor
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.tree import Backup, Expansion, ReasoningTree


@dataclass(frozen=True, slots=True)
class SearchContext:
    """Settings from other config groups that strategies read."""

    canonical: Callable[[str], str] = str.strip
    """Maps an answer to the form by which answers are compared and counted."""
    max_depth: int | None = None
    """Maximum number of steps along a path (budget.max_depth); None: limited by the
    model's context alone."""
    factors: tuple[ThoughtFactor, ...] = ()
    """The policy's thought factors."""
    can_backtrack: bool = False
    """Whether the policy has backtrack tokens, which end a completion unless
    `Expansion.allow_backtracking`."""
    answer_model: AnswerModel | None = None
    """The model in search.selector_model; None without one."""


@dataclass(frozen=True)
class Strategy(ABC):
    """A search through reasoning trees. A subclass declares the type of its
    `config`.
    """

    config: Any
    """The strategy's options: an instance of a class derived from `SearchOptions`, or
    from `ConfigGroup` for a strategy outside the package."""
    context: SearchContext = SearchContext()

    @property
    def tokens_to_hold_back(self) -> int:
        """Generated tokens reserved for an expansion to the answer; 0 by default."""
        return 0

    @property
    def takes_whole_reply(self) -> bool:
        """Whether the strategy's only completion is the reply that the user reads;
        False by default, because votes and critics compare the answers alone.
        """
        return False

    def for_question(self, question: Question) -> Strategy:
        """Returns the strategy that searches for an answer to `question`; itself by
        default. A strategy that routes returns one of several.
        """
        return self

    def marks_answer(self, question: Question) -> bool:
        """Whether the model is asked to mark its answer to a question without a gold,
        so that samples can be compared; False by default.
        """
        return False

    @abstractmethod
    def select(
        self, tree: ReasoningTree, meter: Meter, rng: random.Random
    ) -> Sequence[Expansion | Backup]:
        """Returns the next expansions; empty: the search is done.

        A strategy that counts visits adds a `Backup` for every simulation that ended at
        a node that cannot be expanded. If it returns only backups, `select` is called
        again at once.
        """

    def needs_priors(self, tree: ReasoningTree, wanted: Sequence[Expansion]) -> list[int]:
        """Returns the nodes for which a policy head must compute priors before `wanted`
        is sampled; none by default.

        `wanted` is the latest result of `select`. If any node is returned, `wanted` is
        discarded and `select` is called again.
        """
        return []

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the nodes that need a verdict; none by default."""
        return []

    def to_back_up(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[Backup]:
        """Returns the leaf and value of each simulation that created `new_nodes`, after
        these were judged; none by default.
        """
        return []

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the wrong steps among the new ones for the reflector; none by
        default.
        """
        return []

    def is_exhausted(self, tree: ReasoningTree, node: int) -> bool:
        """Whether `node` was sampled as often as the strategy allows, which the
        reflector is passed; False by default.
        """
        return False

    @abstractmethod
    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the leaf whose answer is given; None without an answer. Called once,
        also when the budget ended the search.
        """
