"""What a search strategy is: a pure object that looks at a tree and says what to do
next.

Law: every method is a function of the tree, the meter, the random numbers and the
strategy's own frozen settings. No I/O, no model, no memory of its own: what has
happened is in the tree. The graph calls, in turn, `select` (what to expand),
`needs_priors` (behind which nodes a policy head shall say what should come next),
`to_judge` (which of the new steps need a verdict), `to_back_up` (what the simulations
were worth) and `to_reflect` (which wrong steps the reflector should look at), until
`select` returns nothing; then `choose` names the leaf whose answer is given.

`rng` begins anew at every call of `select`, from a seed that belongs to the thought. So
a strategy that draws level by level draws the same again for the levels that are behind
it, and needs to remember nothing.

A new strategy is a file with a frozen dataclass that derives from `Strategy` (or from
`Stepwise`, where it looks at steps), an options class with a `strategy` literal that
joins `SearchConfig` in configs/schema/search, and an entry in
`graphs.strategies.build.STRATEGIES`. The properties `needs_critic` and
`samples_per_prompt` of its options are what the rules between groups of options read.
Its tests are an entry in tests/graphs/strategies/test_laws.py (laws, and a golden tree
by LONGTHOUGHT_REGENERATE=1) and one in test_bad_input.py.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.types import Meter, ThoughtFactor
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.tree import Backup, Expansion, ReasoningTree


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What a strategy gets from the rest of the configuration."""

    canonical: Callable[[str], str] = str.strip
    """Maps an answer to the form by which answers are compared and counted."""
    max_depth: int | None = None
    """Steps along one path (budget.max_depth); None: as many as the context of the
    model holds."""
    factors: tuple[ThoughtFactor, ...] = ()
    """The policy's thought factors."""
    can_backtrack: bool = False
    """Whether the policy takes steps back by itself, and a completion ends where it
    begins to."""
    answer_model: AnswerModel | None = None
    """What search.selector_model holds; None without one."""


@dataclass(frozen=True)
class Strategy(ABC):
    """A search through reasoning trees. A subclass declares the type of its
    `config`.
    """

    config: Any
    """The strategy's options, an instance of a class derived from `SearchOptions`."""
    context: SearchContext = SearchContext()

    @property
    def tokens_to_hold_back(self) -> int:
        """Generated tokens that only an expansion to the answer may use; by default
        none.
        """
        return 0

    @property
    def takes_whole_reply(self) -> bool:
        """Whether the only completion that it asks for is the reply that a user reads;
        by default not, for what is compared or judged is the answer alone.
        """
        return False

    @abstractmethod
    def select(
        self, tree: ReasoningTree, meter: Meter, rng: random.Random
    ) -> Sequence[Expansion | Backup]:
        """Returns what to expand next; empty: the search is done.

        A strategy that counts visits adds the `Backup` of every simulation that ended
        where nothing is left to expand; where it returns nothing else, it is asked
        again at once.
        """

    def needs_priors(self, tree: ReasoningTree, wanted: Sequence[Expansion]) -> list[int]:
        """Returns the nodes behind which a policy head shall weigh the thought factors
        before `wanted` is written; by default none.

        `wanted` is what `select` has just returned. Where there are such nodes nothing
        of it is done, and `select` is asked again.
        """
        return []

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the nodes that need a verdict; by default none."""
        return []

    def to_back_up(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[Backup]:
        """Returns the ends and values of the simulations that made `new_nodes`, which
        are judged by now; by default none.
        """
        return []

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the wrong ones of the new steps that the reflector should look at; by
        default none.
        """
        return []

    def is_exhausted(self, tree: ReasoningTree, node: int) -> bool:
        """Whether `node` was tried as often as the strategy allows, which a reflector
        should know; by default never.
        """
        return False

    @abstractmethod
    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the leaf whose answer is the answer; None without one. Called once,
        also when a budget ended the search early.
        """
