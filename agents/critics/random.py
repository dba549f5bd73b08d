"""The random critic, a control: a gain with this critic is not due to its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, draw, make_verdict
from agents.critics.calibration import PlattScaling
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class RandomCritic:
    """Draws a probability uniformly from [0, 1); the same question and steps always get
    the same number.
    """

    seed: int
    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the drawn probability and its log-odds, clipped like a model's."""
        score = draw(self.seed, "random", question, steps)
        evidence = PlattScaling().log_likelihood_ratio(score)
        return make_verdict(
            score, evidence, source="random_critic", scope=self.scope_of(question.text)
        )
