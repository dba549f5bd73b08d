"""A trace: everything that one question was to the machine. Immutable once recorded;
the training data of the next policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.answers import CheckOutcome
from agents.engines.base import EngineInfo
from agents.roles.summarizer import SummarySource
from agents.types import Question, Usage
from agents.types.step import ADDED
from graphs.thought.long_thought import LongThought
from graphs.tree import Event, NoAnswer, Status

SCHEMA_VERSION = 2
"""Raised whenever a stored trace would be read differently; the codec refuses what it
does not know. A field that was only added has a default and `ADDED`: older traces,
which lack it, are read with the default."""


@dataclass(frozen=True, slots=True)
class SafetyRecord:
    """One decision of the safety checker, as stored."""

    decision: str
    """comply, safe_completion or refuse."""
    rule_id: str | None
    """The rule that it rests on; every decision other than comply cites one."""
    stage: str
    """before_thinking or after_thinking."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to one sample of one question."""

    run: str
    sample: int
    """Which attempt at the question, from 0."""
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
    """What the exact checker said; None where there is no gold answer, and where the
    checker could not say (see `is_unchecked`)."""
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
    """Versions of the packages that decide results."""
    schema_version: int = SCHEMA_VERSION
    check: CheckOutcome | None = field(default=None, metadata=ADDED)
    """How the checker came to `correct`; None in traces of before this was kept."""
    reason: NoAnswer | None = field(default=None, metadata=ADDED)
    """Why there is no answer; None for other statuses, and in traces of before this was
    kept."""
    summary_source: SummarySource | None = field(default=None, metadata=ADDED)
    """Where the summary comes from; None in traces of before this was kept."""

    @property
    def is_unchecked(self) -> bool:
        """Whether the right answer is known and the checker could not compare with it:
        it timed out or failed.
        """
        return self.correct is None and self.question.gold is not None


def unusable(trace: Trace) -> str | None:
    """Returns why nothing is to be learned from a trace's answer; None where it is
    right or not scored.

    One of no_answer, wrong_answer, unchecked, decided_by_rule: the user then read the
    rule's reply in place of the thought's answer.
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
