"""Critics that cost nothing: what a search gains with one of them, it does not owe to
its critic.

Each judges in the scope that `scope_of` names, so that a search treats its verdicts as
it treats those of the critic it stands in for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, draw, make_verdict
from agents.critics.calibration import PlattScaling
from agents.types import Meter, Question, Step, Verdict

HALF_LENGTH = 16
"""Tokens of a step that the length critic gives even odds."""
_SUREST = -1e-12  # nats; the log-probability of a certain step, so that its log-odds are a number


@dataclass(frozen=True, slots=True)
class RandomCritic:
    """Says a probability that is uniform in [0, 1): noise, but always the same of the
    same step.
    """

    seed: int
    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the drawn probability, its log-odds clipped as a model's are."""
        score = draw(self.seed, "random", question, steps)
        evidence = PlattScaling().log_likelihood_ratio(score)
        return make_verdict(
            score, evidence, source="random_critic", scope=self.scope_of(question.text)
        )


@dataclass(frozen=True, slots=True)
class LengthCritic:
    """Prefers short steps: score = 2^(-n / 16) for a step of n tokens, forced ones
    included.

    The product over a path is 2^(-tokens / 16): it ranks thoughts by their length
    alone, wherever they are cut into steps.
    """

    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns a verdict whose log sigma(log-likelihood ratio) is the score's
        logarithm.
        """
        log_score = -math.log(2) * len(steps[-1].content.reveal().token_ids) / HALF_LENGTH
        return make_verdict(
            math.exp(log_score),
            _log_odds(log_score),
            source="length_critic",
            scope=self.scope_of(question.text),
        )


@dataclass(frozen=True, slots=True)
class LogprobCritic:
    """Repeats the policy's own opinion: score = the step's probability under the
    policy. A step of unknown log-probability is unparsed.
    """

    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns a verdict whose log sigma(log-likelihood ratio) is the step's
        log-probability.

        So a search that ranks by the product of its verdicts ranks by the policy's
        log-probability of the path.
        """
        # an engine may round above 0; NaN stays NaN
        log_score = min(steps[-1].content.reveal().logprob, 0.0)
        return make_verdict(
            math.exp(log_score),
            _log_odds(log_score),
            source="logprob_critic",
            scope=self.scope_of(question.text),
        )


def _log_odds(log_probability: float) -> float:
    """Returns log p - log(1 - p) for log p <= 0, in nats, without losing what a small
    or a large p is made of; NaN of NaN.
    """
    log_p = min(log_probability, _SUREST)
    return log_p - math.log(-math.expm1(log_p))
