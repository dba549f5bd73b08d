"""A thought while it is being thought: its events, the tree that they make, what it has spent, and its source of randomness."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from agents.nouns import Meter, Question
from agents.safety import SafetyRule
from graphs.thought.long_thought import LongThought
from graphs.traces.trace import SafetyRecord
from graphs.tree import Event, Expansion, NoAnswer, ReasoningTree, Status


@dataclass(slots=True)
class Thinking:
    """The runtime state of one thought. Everything hidden about it is here, and nothing of it is in the graph's state."""

    question: Question
    sample: int
    seed: int
    """Seed of the whole run; the thought's own random numbers derive from it, the question and the number of events."""
    meter: Meter
    thought_id: str
    rules: tuple[SafetyRule, ...] = ()
    """Safety rules that apply to the question."""
    events: list[Event] = field(default_factory=list)
    pending: list[Expansion] = field(default_factory=list)
    """What the strategy has asked for and the policy has not yet written."""
    new_nodes: list[int] = field(default_factory=list)
    """Nodes that the last round added."""
    safety: list[SafetyRecord] = field(default_factory=list)
    long_thought: LongThought | None = None
    """Set when the search has ended."""
    status: Status = "no_answer"
    reason: NoAnswer | None = None
    """Why there is no answer; set when the search has ended."""
    _tree: ReasoningTree | None = None

    @property
    def tree(self) -> ReasoningTree:
        """The tree of all events so far; brought up to date, and rebuilt when it is not there."""
        if self._tree is None:
            self._tree = ReasoningTree(self.question)
        self._tree.apply(self.events[self._tree.version :])
        return self._tree

    def happened(self, events: Iterable[Event]) -> None:
        """Appends events to the log."""
        self.events.extend(events)

    def derive_seed(self, purpose: str = "") -> int:
        """Returns a seed that depends on (run seed, question, sample, number of events, purpose), and on nothing else."""
        text = f"{self.seed}/{self.question.hash}/{self.sample}/{len(self.events)}/{purpose}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

    def rng(self, purpose: str) -> random.Random:
        """Returns a source of random numbers, seeded by `derive_seed`."""
        return random.Random(self.derive_seed(purpose))

    def rng_of_search(self) -> random.Random:
        """Returns the strategy's source of random numbers: at every call the same one from its beginning, whatever has happened."""
        return random.Random(f"{self.seed}/{self.question.hash}/{self.sample}/search")
