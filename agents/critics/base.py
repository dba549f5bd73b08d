"""The protocol of a critic, and what its implementations share: verdicts made from
numbers, log-odds, and draws that are functions of the step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from agents.types import Hidden, Meter, Question, Step, Verdict, VerdictScope, VerdictSource

ScopeOf: TypeAlias = Callable[[str], VerdictScope]
"""Returns the scope in which the steps of a question, given by its text, are judged."""

_SUREST = -1e-12  # nats; the log-probability of a certain step, so that its log-odds are a number


def always_local(text: str) -> VerdictScope:
    """Returns "local", the scope of questions whose right steps never lead to a dead
    end.
    """
    return "local"


class Critic(Protocol):
    """Judges steps.

    Laws: a verdict depends on the question and the steps, not on when or how often it
    is asked for (as far as a model's engine is deterministic), so that asking twice
    adds no evidence. A NaN is never evidence: its verdict is `unparsed`, and a
    `Verdict` refuses to be anything else. Steps may be judged concurrently.
    """

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps`, of which there is at least one;
        None where budget or context leave no room for it.
        """
        ...


def make_verdict(
    score: float, evidence: float, *, source: VerdictSource, scope: VerdictScope, reason: str = ""
) -> Verdict:
    """Returns a verdict of probability `score` and log-likelihood ratio `evidence`, in
    nats; an unparsed one where either is NaN.
    """
    unparsed = math.isnan(score) or math.isnan(evidence)
    return Verdict(
        score=math.nan if unparsed else score,
        source=source,
        scope=scope,
        outcome="unparsed" if unparsed else "judged",
        log_likelihood_ratio=0.0 if unparsed else evidence,
        reason=Hidden(reason) if reason else None,
    )


def log_odds(log_probability: float) -> float:
    """Returns log p - log(1 - p) for log p <= 0, in nats, without losing what a small
    or a large p is made of; NaN of NaN.
    """
    log_p = min(log_probability, _SUREST)
    return log_p - math.log(-math.expm1(log_p))


def texts_of(steps: Sequence[Step]) -> list[str]:
    """Returns the texts of the steps, in order."""
    return [step.content.reveal().text for step in steps]


def draw(seed: int, purpose: str, question: Question, steps: Sequence[Step]) -> float:
    """Returns a number in [0, 1), uniform over its arguments and a function of them; of
    the steps it reads the texts.
    """
    return random.Random(f"{seed}/{purpose}/{question.hash}/{texts_of(steps)!r}").random()
