"""The protocol of a critic, and helpers of its implementations: verdicts from numbers,
log-odds, and random draws that depend on the step alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from agents.types import Hidden, Meter, Question, Step, Verdict, VerdictScope, VerdictSource

ScopeOf: TypeAlias = Callable[[str], VerdictScope]
"""Maps the text of a question to the scope of the verdicts on its steps."""

_SUREST = -1e-12  # nats; the log-probability of a certain step, so that its log-odds are a number


def always_local(text: str) -> VerdictScope:
    """Returns "local", the scope of questions whose right steps never lead to a dead
    end.
    """
    return "local"


class Critic(Protocol):
    """Judges steps.

    Laws: a verdict is a function of the question and the steps (as far as a model's
    engine is deterministic), so a second call adds no evidence. A NaN is never
    evidence: its verdict is `unparsed`, and `Verdict` refuses a judged NaN. `judge` may
    be called concurrently.
    """

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps` (at least one); None if the budget
        or the context leaves no room for it.
        """
        ...


def make_verdict(
    score: float,
    evidence: float,
    *,
    source: VerdictSource,
    scope: VerdictScope,
    reason: str = "",
    is_calibrated: bool = True,
    wrong_below: float = 0.0,
) -> Verdict:
    """Returns a verdict with probability `score` and log-likelihood ratio `evidence`,
    in nats; an unparsed verdict if one of them is NaN. See `Verdict` for the others.
    """
    unparsed = math.isnan(score) or math.isnan(evidence)
    return Verdict(
        score=math.nan if unparsed else score,
        source=source,
        scope=scope,
        outcome="unparsed" if unparsed else "judged",
        log_likelihood_ratio=0.0 if unparsed else evidence,
        reason=Hidden(reason) if reason else None,
        is_calibrated=is_calibrated,
        wrong_below=wrong_below,
    )


def no_claim(source: VerdictSource, scope: VerdictScope) -> Verdict:
    """Returns the verdict on a step with nothing that the critic can judge."""
    return Verdict(score=math.nan, source=source, scope=scope, outcome="no_claim")


def log_odds(log_probability: float) -> float:
    """Returns log p - log(1 - p) for log p <= 0, in nats; precise for p near 0 and near
    1. NaN gives NaN.
    """
    log_p = min(log_probability, _SUREST)
    return log_p - math.log(-math.expm1(log_p))


def texts_of(steps: Sequence[Step]) -> list[str]:
    """Returns the texts of the steps, in order."""
    return [step.content.reveal().text for step in steps]


def draw(seed: int, purpose: str, question: Question, steps: Sequence[Step]) -> float:
    """Returns a pseudo-random number in [0, 1) that depends only on the arguments; of
    the steps only the texts count.
    """
    return random.Random(f"{seed}/{purpose}/{question.hash}/{texts_of(steps)!r}").random()
