"""The heads of a model, as roles: the value of a thought, and what a policy would do
next.

One network with two extra heads reads the policy's own context (question and steps, as
the policy would go on from them) and says two things behind its last token: V, the
probability that an answer of the thought is right, and P, a probability for each
thought factor that may come next. `training=heads` learns them from searches: V from
how thoughts ended, P from where it paid to go. Safety rules that apply to a question
are in the policy's prompt, and not in what the heads read. Each head is read by a role
of its own, so where a search uses both, a node that it expands is read twice.

Source: AlphaZero (arXiv:1712.01815); Reverse-o1 (Zhang Junlin, 2024) for thought
factors as its actions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.critics.base import make_verdict
from agents.critics.calibration import PlattScaling
from agents.engines.base import Classifier
from agents.engines.metered import classify_within
from agents.prompts import Prompts
from agents.types import EngineError, Meter, Question, Step, ThoughtFactor, Verdict

VALUE = "value"
"""Label of the value head: a logit."""


def factor_label(name: str) -> str:
    """Returns the label of a thought factor's output in the policy head."""
    return f"factor {name}"


class ValueHead:
    """A critic: judges how likely the answer of a thought is to be right, by the value
    head. One reading a step, and nothing is written.

    Its verdicts are of value scope: the last one of a path stands for all of it
    (`search.aggregation=last`).

    Raises:
        ValueError: the model has no value head.
    """

    def __init__(self, classifier: Classifier, prompts: Prompts) -> None:
        self.classifier = classifier
        self.prompts = prompts
        self._output = _output(classifier, VALUE, "critic.kind=value_head")

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


class PolicyHead:
    """Says under which thought factor the next step should be written.

    Raises:
        ValueError: the model's policy head does not know one of `factors`.
    """

    def __init__(
        self, classifier: Classifier, prompts: Prompts, factors: Sequence[ThoughtFactor]
    ) -> None:
        self.classifier = classifier
        self.prompts = prompts
        self._outputs = {
            factor.name: _output(classifier, factor_label(factor.name), "search.prior=policy_head")
            for factor in factors
        }

    async def priors(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> dict[str, float] | None:
        """Returns the probability of each thought factor behind `steps`; they add up to
        1. None where budget or context leave no room.

        Raises:
            EngineError: the head says something that is no number.
        """
        prompt, _ = self.prompts.context(question, steps)
        found = await classify_within(self.classifier, prompt, meter=meter, role="heads")
        if isinstance(found, str):
            return None
        logits = {name: found.outputs[output] for name, output in self._outputs.items()}
        if not all(math.isfinite(logit) for logit in logits.values()):
            raise EngineError(
                f"the policy head of {self.classifier.info.model} says {logits}; train it again, "
                "or set heads.engine.model"
            )
        highest = max(logits.values())
        weights = {name: math.exp(logit - highest) for name, logit in logits.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}


def _output(classifier: Classifier, label: str, option: str) -> int:
    if label not in classifier.labels:
        raise ValueError(
            f"{option} reads the output {label!r} and {classifier.info.model} has "
            f"{', '.join(classifier.labels)}; train heads for it (training=heads with the same "
            "policy.factors), or name other ones in heads.engine.model"
        )
    return classifier.labels.index(label)


def _sigmoid(logit: float) -> float:
    return (
        1.0 / (1.0 + math.exp(-max(min(logit, 700.0), -700.0)))
        if not math.isnan(logit)
        else math.nan
    )
