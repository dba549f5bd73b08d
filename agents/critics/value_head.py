"""The value head as a critic: the probability that an answer below a step is right.

One network with two heads reads the policy's context (question and steps) without the
safety rules. At the last token, the value head returns V, the probability that an
answer below is right, and the policy head (agents/roles/policy_head.py) returns P, a
probability for each thought factor. `training=heads` trains both on stored trees: V on
outcomes, P on visits or right answers.

Source: AlphaZero (arXiv:1712.01815).
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.critics.base import make_verdict
from agents.critics.calibration import PlattScaling, sigmoid
from agents.engines.base import Classifier
from agents.engines.heads_folder import VALUE, output_of
from agents.engines.metered import classify_within
from agents.prompts import Prompts
from agents.types import Meter, Question, Step, Verdict


class ValueHead:
    """Judges a step by one forward pass; no text is generated.

    Its verdicts have value scope: the verdict on the last step describes the whole path
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
        V; None if the budget or the context leaves no room for it.
        """
        prompt, _ = self.prompts.context(question, steps)
        found = await classify_within(self.classifier, prompt, meter=meter, role="critic")
        if isinstance(found, str):
            return None
        value = sigmoid(found.outputs[self._output])
        return make_verdict(
            value, PlattScaling().log_likelihood_ratio(value), source="value_head", scope="value"
        )
