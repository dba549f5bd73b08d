"""The oracle: the exact truth about a step; a known share of its verdicts is flipped.

Without flips it is an upper bound on what any critic can do for a search; with flips it
measures how accurate a critic must be. A flip is a function of seed, question and
steps, so a second call returns the same verdict. The flip rate e is known, so the
evidence is exact: +-log((1 - e) / e), 0 at e = 1/2; at e = 0 the largest evidence that
an uncalibrated critic gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import draw, make_verdict, texts_of
from agents.critics.calibration import PlattScaling
from agents.families import FAMILIES, recognise_question
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class OracleCritic:
    """Judges questions of the families in `agents.families`, in the scope of the
    question's family.
    """

    seed: int
    flip_rate: float = 0.0
    """Share of verdicts that are the opposite of the truth, in [0, 1/2]."""

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the truth about the last step, or the opposite if the verdict is
        flipped.

        Raises:
            ValueError: no family recognises the question.
        """
        problem = recognise_question(question.text)
        if problem is None:
            raise ValueError(
                f"critic.kind (oracle) knows the truth about the families {', '.join(FAMILIES)}, "
                f"and question {question.hash} is of none "
                "of them; choose task=pocket, or critic=working or critic=token"
            )
        right = problem.verdict(problem.check_steps(texts_of(steps))[-1])
        flipped = draw(self.seed, "flip", question, steps) < self.flip_rate
        score = 1.0 - self.flip_rate if right != flipped else self.flip_rate
        evidence = PlattScaling().log_likelihood_ratio(score)
        return make_verdict(score, evidence, source="oracle_critic", scope=problem.scope)
