"""A trace: the complete record of one thought about one question. Immutable once
recorded; training data of the next policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.answers import CheckOutcome
from agents.engines.base import EngineInfo
from agents.roles.summarizer import SummarySource
from agents.types import Question, Usage
from agents.types.added import ADDED
from graphs.thought.long_thought import LongThought
from graphs.tree import Event, NoAnswer, Status

SCHEMA_VERSION = 2
"""Incremented when the meaning of a stored trace changes; the codec rejects other
versions. A field that is merely added has a default and the metadata `ADDED`: older
traces, which lack it, are read with the default."""


@dataclass(frozen=True, slots=True)
class SafetyRecord:
    """One decision of the safety checker, as stored."""

    decision: str
    """comply, safe_completion or refuse."""
    rule_id: str | None
    """The rule behind the decision; None only for comply."""
    stage: str
    """before_thinking or after_thinking."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The record of one sample of one question."""

    run: str
    sample: int
    """Index of the attempt at the question, from 0."""
    thought_id: str
    question: Question
    policy_prompt: tuple[int, ...]
    """Token ids before the first step, as the policy saw them."""
    events: tuple[Event, ...]
    long_thought: LongThought
    status: Status
    answer: str | None
    summary: str
    correct: bool | None
    """Result of the exact checker; None without a gold answer, or if the check failed
    (see `is_unchecked`)."""
    safety: tuple[SafetyRecord, ...]
    usage: dict[str, Usage]
    """Tokens and calls by role."""
    seconds: float
    """Wall-clock time from question to record."""
    config_hash: str
    engine: EngineInfo
    """The policy's engine: model and tokenizer hash among others."""
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that influence results."""
    schema_version: int = SCHEMA_VERSION
    check: CheckOutcome | None = field(default=None, metadata=ADDED)
    """How the checker decided `correct`; None in traces that predate the field."""
    reason: NoAnswer | None = field(default=None, metadata=ADDED)
    """Why there is no answer; None for other statuses, and in traces that predate the
    field."""
    summary_source: SummarySource | None = field(default=None, metadata=ADDED)
    """Where the summary comes from; None in traces that predate the field."""
    dropped_turns: int = field(default=0, metadata=ADDED)
    """Oldest turns of the question's history that the context had no room for."""

    parameters: dict[str, int] = field(default_factory=dict, metadata=ADDED)
    """Number of weights of each role's model, for FLOPs; 0 if unknown. Empty in traces
    that predate the field: all roles used the policy's model."""

    @property
    def is_unchecked(self) -> bool:
        """Whether a gold answer exists but the checker timed out or failed."""
        return self.correct is None and self.question.gold is not None


def unusable(trace: Trace) -> str | None:
    """Returns why a trace's answer is unfit for training; None if it is right or
    unscored.

    The reasons are no_answer, wrong_answer, unchecked and decided_by_rule (a safety
    rule's reply replaced the thought's answer).
    """
    if trace.status != "answered":
        return "no_answer"
    if trace.correct is False:
        return "wrong_answer"
    if trace.is_unchecked:
        return "unchecked"
    if any(record.decision != "comply" for record in trace.safety):
        return "decided_by_rule"
    return None
