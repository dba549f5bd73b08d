"""A critic with a fitted calibration, for kinds that have none of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agents.critics.base import Critic
from agents.critics.calibration import Calibration
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class CalibratedCritic:
    """Replaces the evidence of a critic's verdicts by that of their scores under a
    calibration.
    """

    critic: Critic
    calibration: Calibration
    reject_below: float
    family_of: Callable[[str], str | None]

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the critic's verdict with calibrated evidence; unchanged if it is not
        judged, or of a family that was not fitted.
        """
        verdict = await self.critic.judge(question, steps, meter=meter)
        scaling = self.calibration.scaling(self.family_of(question.text))
        if verdict is None or verdict.outcome != "judged" or scaling is None:
            return verdict
        return replace(
            verdict,
            log_likelihood_ratio=scaling.log_likelihood_ratio(verdict.score),
            is_calibrated=True,
            wrong_below=scaling.wrong_below(self.reject_below),
        )
