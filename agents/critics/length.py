"""The length critic, a control: the gain that comes from step length alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, log_odds, make_verdict
from agents.types import Meter, Question, Step, Verdict

HALF_LENGTH = 16
"""Tokens of a step with score 1/2."""


@dataclass(frozen=True, slots=True)
class LengthCritic:
    """Prefers short steps: score = 2^(-n / 16) for a step of n tokens, forced ones
    included.

    The product over a path is 2^(-tokens / 16), so paths are ranked by their number of
    tokens, however they are divided into steps.
    """

    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns a verdict whose log sigma(log-likelihood ratio) equals log score."""
        log_score = -math.log(2) * len(steps[-1].content.reveal().token_ids) / HALF_LENGTH
        return make_verdict(
            math.exp(log_score),
            log_odds(log_score),
            source="length_critic",
            scope=self.scope_of(question.text),
        )
