"""The value head as a critic: how likely the answer of a thought is to be right.

One network with two extra heads reads the policy's own context (question and steps, as
the policy would go on from them). Behind its last token the value head gives V, the
probability that an answer of the thought is right, and the policy head
(agents/roles/policy_head.py) a probability for each thought factor. `training=heads`
learns them from searches: V from how thoughts ended, P from where it paid to go. Safety
rules that apply to a question are in the policy's prompt, and not in what the heads
read.

Source: AlphaZero (arXiv:1712.01815).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.critics.base import make_verdict
from agents.critics.calibration import PlattScaling
from agents.engines.base import Classifier
from agents.engines.heads_folder import VALUE, output_of
from agents.engines.metered import classify_within
from agents.prompts import Prompts
from agents.types import Meter, Question, Step, Verdict


class ValueHead:
    """Judges by the value head: one reading a step, and nothing is written.

    Its verdicts are of value scope: the last one of a path stands for all of it
    (`search.aggregation=last`).

    Raises:
        ValueError: the model has no value head.
    """

    def __init__(self, classifier: Classifier, prompts: Prompts) -> None:
        self.classifier = classifier
        self.prompts = prompts
        self._output = output_of(classifier, VALUE, "critic=value_head")

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps`, whose evidence is the log-odds of
        V; None where budget or context leave no room.
        """
        prompt, _ = self.prompts.context(question, steps)
        found = await classify_within(self.classifier, prompt, meter=meter, role="critic")
        if isinstance(found, str):
            return None
        value = _sigmoid(found.outputs[self._output])
        return make_verdict(
            value, PlattScaling().log_likelihood_ratio(value), source="value_head", scope="value"
        )


def _sigmoid(logit: float) -> float:
    return (
        1.0 / (1.0 + math.exp(-max(min(logit, 700.0), -700.0)))
        if not math.isnan(logit)
        else math.nan
    )
