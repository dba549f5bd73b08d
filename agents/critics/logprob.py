"""The log-probability critic, a control: a search with the policy's own scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, log_odds, make_verdict
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class LogprobCritic:
    """Scores a step by its probability under the policy. A step without a
    log-probability is unparsed.
    """

    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns a verdict whose log sigma(log-likelihood ratio) equals the step's
        log-probability.

        So a search that ranks paths by the product of verdicts ranks them by the
        policy's log-probability.
        """
        # an engine may round above 0; NaN stays NaN
        log_score = min(steps[-1].content.reveal().logprob, 0.0)
        return make_verdict(
            math.exp(log_score),
            log_odds(log_score),
            source="logprob_critic",
            scope=self.scope_of(question.text),
        )
