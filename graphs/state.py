"""What travels through the graph: small, and safe to show.

LangGraph streams and checkpoints every channel, so none of them ever holds a hidden value: the tree and its events live in the runtime
(`graphs.thinking.Thinking`), and the state carries the name under which they are found, counters, and what the user may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic makes no JSON schema of typing's before Python 3.12

from agents.summarizer import SummarySource
from graphs.tree import NoAnswer

Phase = Literal["screen", "select", "suggest", "critique", "reflect", "derive", "answer", "summarize", "check", "record"]
"""The nodes of the graph, in the order in which a thought first comes to them."""


class InputState(TypedDict, total=False):
    """What the caller gives; only `question` is required."""

    question: str
    gold: str | None
    """The right answer, where it is known: compared with, never shown to a model."""
    task: str
    metadata: dict[str, Any]
    sample: int
    """Which attempt at the question this is, from 0; it is part of the seed."""
    thought_id: str
    """Name of the thought; made up where it is not given."""


class OutputState(TypedDict, total=False):
    """What the caller gets."""

    thought_id: str
    """Name of the thought, by which its trace is found."""
    status: str
    """answered, no_answer, out_of_domain or refused."""
    reason: NoAnswer | None
    """Why there is no answer; None where the status is not no_answer."""
    answer: str | None
    summary: str
    summary_source: SummarySource
    """Where the summary comes from: the kept steps, a model, or counts alone."""
    correct: bool | None
    rule_id: str | None
    """The safety rule that decided, where one did."""
    usage: dict[str, dict[str, int]]
    """Tokens and calls by role."""
    nodes: int
    """Size of the reasoning tree."""
    seconds: float


class State(InputState, OutputState, total=False):
    """All channels of the graph."""

    rounds: int
    """Turns of the suggestion-critique loop so far."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a run of the graph finds its engines and settings. Primitives only, so that it has a JSON schema.

    Resources are built at the first question that asks for them and kept for the process; see `graphs.resources`.
    """

    overrides: tuple[str, ...] = ()
    """Configuration as on the command line: ("search=best_of_n", "search.num_samples=8"); the shipped defaults where empty."""
    resources: str = ""
    """Key of resources that were opened and registered beforehand; wins over `overrides`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", tuple(self.overrides))  # a context that comes as JSON holds a list
