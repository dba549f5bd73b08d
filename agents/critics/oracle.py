"""The oracle: the exact truth of a step, of which a known share is flipped.

Without flips it is the most that a critic can do for a search; with flips it measures
how good a critic must be. A flip is a function of seed, question and steps, so asking
twice does not undo it, and the rate is known, so the evidence in a verdict is exact:
+-log((1 - e) / e) at flip rate e, 0 at e = 1/2, and at e = 0 as large as a calibration
lets anything be.
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
        """Returns the truth about the last step, or its opposite.

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
