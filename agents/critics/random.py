"""The random critic, a control: what a search gains with it does not come from its
critic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, draw, make_verdict
from agents.critics.calibration import PlattScaling
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class RandomCritic:
    """Draws a probability that is uniform in [0, 1), always the same for the same
    step.
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
