"""The token critic: the probability of one next token ("is this step right?").

A verdict is rejected if its label ends a line of the question or of a step: that line
may be an instruction or a forged reply, which small models follow. The cost: the step
"So the answer is yes." can be judged wrong, but never right.

Source: GenRM (arXiv:2408.15240).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.critics.base import texts_of
from agents.critics.generative import ROLE, GenerativeCritic, Judgement
from agents.engines.metered import score_within
from agents.prompts.last_line import ends_a_line
from agents.types import Meter, Question, Step


class TokenCritic(GenerativeCritic):
    """Scores a step by a softmax over the first tokens of the two labels."""

    source = "token_critic"

    def check_labels(self) -> None:
        if self._right == self._wrong:
            family = self.prompts.family
            raise ValueError(
                f"the verdict labels {family.right!r} and {family.wrong!r} begin with one token; a "
                "token critic needs two"
            )

    async def ask(
        self, question: Question, steps: Sequence[Step], meter: Meter
    ) -> Judgement | None:
        prompt = self.prompts.role("critic_token", question, steps)
        scores = await score_within(
            self.engine, prompt, (self._right, self._wrong), meter=meter, role=ROLE
        )
        if isinstance(scores, str):
            return None
        right, wrong = scores.logprobs
        if not (math.isfinite(right) or math.isfinite(wrong)):
            return Judgement(math.nan)
        return Judgement(1.0 / (1.0 + math.exp(min(wrong - right, 700.0))))

    def is_forged(self, evidence: float, question: Question, steps: Sequence[Step]) -> bool:
        """Whether a line of the question or the steps ends with the label that
        `evidence` supports.
        """
        family = self.prompts.family
        if family.style == "continuation":  # its labels are control tokens, which no text can spell
            return False
        labels = (family.right, family.wrong) if evidence > 0 else (family.wrong, family.right)
        return ends_a_line(*labels, [*question.texts, *texts_of(steps)])
