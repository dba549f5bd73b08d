"""The policy head: a distribution over the thought factors of the next step.

It shares the network with the value head (agents/critics/value_head.py). Each head has
its own role, so a search that uses both classifies an expanded node twice.

Source: AlphaZero (arXiv:1712.01815); Reverse-o1 (Zhang Junlin, 2024) for thought
factors as its actions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.engines.base import Classifier
from agents.engines.heads_folder import factor_label, output_of
from agents.engines.metered import classify_within
from agents.prompts import Prompts
from agents.types import EngineError, Meter, Question, Step, ThoughtFactor


class PolicyHead:
    """Returns priors of the thought factors for the next step.

    Raises:
        ValueError: the model's policy head lacks one of `factors`.
    """

    def __init__(
        self, classifier: Classifier, prompts: Prompts, factors: Sequence[ThoughtFactor]
    ) -> None:
        self.classifier = classifier
        self.prompts = prompts
        self._outputs = {
            factor.name: output_of(
                classifier, factor_label(factor.name), "search.prior=policy_head"
            )
            for factor in factors
        }

    async def priors(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> dict[str, float] | None:
        """Returns the probability of each thought factor after `steps` (softmax of the
        outputs); None if budget or context do not allow the call.

        Raises:
            EngineError: an output of the head is not finite.
        """
        prompt, _ = self.prompts.context(question, steps)
        found = await classify_within(self.classifier, prompt, meter=meter, role="heads")
        if isinstance(found, str):
            return None
        logits = {name: found.outputs[output] for name, output in self._outputs.items()}
        if not all(math.isfinite(logit) for logit in logits.values()):
            raise EngineError(
                f"the policy head of {self.classifier.info.model} returns {logits}, which are not "
                "all finite; train it again, or set heads.engine.model to other heads"
            )
        highest = max(logits.values())
        weights = {name: math.exp(logit - highest) for name, logit in logits.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}
