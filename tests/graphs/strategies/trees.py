"""Builds small trees for tests of strategies, without a model: steps are words,
verdicts are given.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from agents.types import (
    Author,
    Content,
    Hidden,
    Question,
    Reflection,
    ReflectionAction,
    Sampling,
    Step,
    Verdict,
    VerdictScope,
)
from graphs.tree import Backup, Event, Expanded, Expansion, Judged, ReasoningTree, Reflected

QUESTION = Question(text="what?")


def step(
    text: str,
    *,
    logprob: float = -1.0,
    answer: str | None = None,
    cut: bool = False,
    temperature: float = 1.0,
    factor: str | None = None,
) -> Step:
    """Returns a step of one token, whose id is a hash of the text."""
    content = Content(text=text, token_ids=(zlib.crc32(text.encode()),), logprobs=(logprob,))
    sampling = Sampling(temperature=temperature)
    return Step(
        Hidden(content),
        "length" if cut else "stop",
        Author("policy", "scripted"),
        sampling,
        factor=factor,
        answer=answer,
    )


def expanded(parent: int, *steps: Step) -> Event:
    """Returns an event that gives `parent` one child per step."""
    return Expanded(parent, tuple((s,) for s in steps))


def judged(node: int, evidence: float, *, scope: VerdictScope = "local") -> Judged:
    """Returns a verdict with this log-likelihood ratio."""
    return Judged(
        node, Verdict(score=0.5, source="token_critic", scope=scope, log_likelihood_ratio=evidence)
    )


def unread(node: int) -> Judged:
    """Returns a verdict that could not be parsed."""
    return Judged(node, Verdict(score=math.nan, source="working_critic", outcome="unparsed"))


def reflected(node: int, action: ReflectionAction, target: int | None = None) -> Event:
    """Returns a reflection on `node`."""
    return Reflected(node, Reflection(action, Hidden("because"), target_step=target))


def expansions(selected: Sequence[Expansion | Backup]) -> list[Expansion]:
    """Returns the selected expansions; a backup among them is an error."""
    found = [one for one in selected if isinstance(one, Expansion)]
    assert len(found) == len(selected)
    return found


def tree_of(events: Sequence[Event]) -> ReasoningTree:
    """Returns the tree of these events."""
    return ReasoningTree.replay(QUESTION, events)
