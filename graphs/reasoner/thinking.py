"""A thought in progress: its events, their tree, its costs, and its source of
randomness.

A thought belongs to the run of the graph that began it (`Run`). If the run fails, is
cancelled, or is not read to its end, the thought is dropped; if it is interrupted, the
thought is paused until a run resumes it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from langgraph.runtime import RunControl

from agents.roles.summarizer import SummarySource
from agents.safety import SafetyRule
from agents.types import LostThoughtError, Meter, Question
from graphs.thought.long_thought import LongThought
from graphs.traces.trace import SafetyRecord
from graphs.tree import Event, Expansion, NoAnswer, ReasoningTree, Status

MOST_PAUSED = 32
"""Paused thoughts that one `Resources` keeps; the oldest are dropped."""


@dataclass(slots=True)
class Shown:
    """The output for the user. LangGraph streams the graph's channels, so the output
    stays here until the safety rules have judged it.
    """

    answer: str | None = None
    summary: str = ""
    summary_source: SummarySource = "none"
    reason: NoAnswer | None = None
    """Why there is no answer; set when the search has ended."""
    is_checked: bool = False
    """Whether the safety rules have judged it."""


@dataclass(slots=True)
class Thinking:
    """The runtime state of one thought, with everything that is hidden. The graph's
    state holds none of it.
    """

    question: Question
    """The question as the roles read it, with the turns that fit the context."""
    asked: Question
    """The question with its whole history."""
    sample: int
    seed: int
    """Seed of the whole run; the thought's own random numbers derive from it, the
    question and the number of events."""
    meter: Meter
    thought_id: str
    dropped_turns: int = 0
    """Oldest turns of the conversation that the roles do not read."""
    rules: tuple[SafetyRule, ...] = ()
    """Safety rules that apply to the question."""
    events: list[Event] = field(default_factory=list)
    pending: list[Expansion] = field(default_factory=list)
    """Expansions that the strategy asked for and the policy has not sampled yet."""
    new_nodes: list[int] = field(default_factory=list)
    """Nodes that the last round added."""
    safety: list[SafetyRecord] = field(default_factory=list)
    long_thought: LongThought | None = None
    """Set when the search has ended."""
    status: Status = "no_answer"
    shown: Shown = field(default_factory=Shown)
    run: Run | None = None
    """The run that owns it; None if nodes are called without a `Run`."""
    is_paused: bool = False
    """Whether its run was interrupted and no run has resumed it."""
    _tree: ReasoningTree | None = None

    @property
    def tree(self) -> ReasoningTree:
        """The tree of all events so far; new events are applied at each access."""
        if self._tree is None:
            self._tree = ReasoningTree(self.question)
        self._tree.apply(self.events[self._tree.version :])
        return self._tree

    def record(self, events: Iterable[Event]) -> None:
        """Appends events to the log."""
        self.events.extend(events)

    def derive_seed(self, purpose: str = "") -> int:
        """Returns a seed that depends on (run seed, question, sample, number of events,
        purpose), and on nothing else.
        """
        text = f"{self.seed}/{self.question.hash}/{self.sample}/{len(self.events)}/{purpose}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

    def rng(self, purpose: str) -> random.Random:
        """Returns a source of random numbers, seeded by `derive_seed`."""
        return random.Random(self.derive_seed(purpose))

    def rng_of_search(self) -> random.Random:
        """Returns the strategy's source of random numbers, in the same initial state at
        every call.
        """
        return random.Random(f"{self.seed}/{self.question.hash}/{self.sample}/search")


class Thoughts(dict[str, Thinking]):
    """Thoughts in progress, by id."""

    @property
    def in_progress(self) -> bool:
        """Whether any thought is not paused."""
        return any(not thinking.is_paused for thinking in self.values())

    def is_live(self, thought_id: object) -> bool:
        """Whether a run owns the thought of that id."""
        thinking = self.get(thought_id) if isinstance(thought_id, str) else None
        return thinking is not None and not thinking.is_paused

    def begin(self, thinking: Thinking, control: RunControl | None) -> None:
        """Adds a thought, owned by the run whose `control` is given."""
        self[thinking.thought_id] = thinking
        if isinstance(control, Run):
            control.take(self, thinking)

    def find(self, thought_id: object, control: RunControl | None) -> Thinking:
        """Returns a thought of this run, or a paused one, which the run then owns.

        Raises:
            LostThoughtError: the id is unknown.
            ValueError: another run owns the thought.
        """
        thinking = self.get(thought_id) if isinstance(thought_id, str) else None
        if thinking is None:
            raise LostThoughtError(thought_id)
        run = control if isinstance(control, Run) else None
        if thinking.is_paused and run is not None:
            run.take(self, thinking)
        elif thinking.run is not run:
            raise ValueError(
                f"thought {thought_id} is being thought by another run; wait for its end, or ask "
                "the question anew"
            )
        return thinking

    def pause(self, thinking: Thinking) -> None:
        """Pauses a thought, and drops paused ones beyond the latest `MOST_PAUSED`."""
        del self[thinking.thought_id]
        thinking.run, thinking.is_paused = None, True
        self[thinking.thought_id] = thinking
        paused = [thought_id for thought_id, other in self.items() if other.is_paused]
        for thought_id in paused[:-MOST_PAUSED]:
            del self[thought_id]


class Run(RunControl):
    """One run of the graph, as the control object that LangGraph passes to every node.
    It releases its thoughts when it ends.
    """

    __slots__ = ("_outer", "_taken", "has_ended")

    def __init__(self, outer: RunControl | None = None) -> None:
        """`outer`: the control of the caller, which may drain the run, too."""
        super().__init__()
        self._outer = outer
        self._taken: list[tuple[Thoughts, Thinking]] = []
        self.has_ended = False

    @property
    def drain_requested(self) -> bool:
        """Whether the run was asked to stop at the next super-step."""
        return self._drain_reason is not None or (
            self._outer is not None and self._outer.drain_requested
        )

    @property
    def drain_reason(self) -> str | None:
        """Why the run was asked to stop."""
        return self._drain_reason or (self._outer.drain_reason if self._outer is not None else None)

    def take(self, thoughts: Thoughts, thinking: Thinking) -> None:
        """Makes this run the owner of a thought."""
        if self.has_ended:  # a node outlived its cancelled run
            thoughts.pop(thinking.thought_id, None)
            raise LostThoughtError(thinking.thought_id)
        thinking.run, thinking.is_paused = self, False
        self._taken.append((thoughts, thinking))

    def end(self, *, interrupted: bool) -> None:
        """Releases the unfinished thoughts: pauses them if the run was `interrupted`,
        else drops them.
        """
        self.has_ended = True
        for thoughts, thinking in self._taken:
            if thoughts.get(thinking.thought_id) is thinking and thinking.run is self:
                if interrupted:
                    thoughts.pause(thinking)
                else:
                    del thoughts[thinking.thought_id]
        self._taken.clear()
