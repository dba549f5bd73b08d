"""What a search strategy is: a pure object that looks at a tree and says what to do next.

Law: every method is a function of the tree, the meter and the strategy's own frozen settings. No I/O, no model, no memory of its own: what
has happened is in the tree. The graph calls, in turn, `select` (what to expand), `to_judge` (which of the new steps need a verdict) and
`to_reflect` (which wrong steps the reflector should look at), until `select` returns nothing; then `choose` names the leaf whose answer is
given. A strategy draws no random numbers; sampling is the policy's.

A new strategy is a file with a frozen dataclass that derives from `Strategy`, a settings class with a `strategy` literal that joins
`SearchConfig` in configs/schema/search.py, and a case in `graphs.resources.build_strategy`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from agents.nouns import Meter
from graphs.tree import Expansion, ReasoningTree


class Strategy(ABC):
    """A search through reasoning trees."""

    @property
    def tokens_to_hold_back(self) -> int:
        """Generated tokens that only an expansion to the answer may use; by default none."""
        return 0

    @abstractmethod
    def select(self, tree: ReasoningTree, meter: Meter) -> list[Expansion]:
        """Returns what to expand next; empty: the search is done."""

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the nodes that need a verdict; by default none."""
        return []

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the wrong ones of the new steps that the reflector should look at; by default none."""
        return []

    def is_exhausted(self, tree: ReasoningTree, node: int) -> bool:
        """Whether `node` was tried as often as the strategy allows, which a reflector should know; by default never."""
        return False

    @abstractmethod
    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the leaf whose answer is the answer; None without one. Called once, also when a budget ended the search early."""
