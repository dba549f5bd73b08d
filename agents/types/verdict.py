"""A verdict: what somebody thinks of a step, and how far that somebody can be
trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agents.types.hidden import Hidden

VerdictSource = Literal[
    "token_critic",
    "working_critic",
    "value_head",
    "outcome_model",
    "exact_checker",
    "monte_carlo",
    "random_critic",
    "length_critic",
    "logprob_critic",
    "oracle_critic",
    "custom_critic",
]
"""`token_critic`: probability of one next token. `working_critic`: the verdict at the
end of a written check. `value_head`: the output of a model's value head.
`outcome_model`: judges whole solutions. `exact_checker`: a program that knows the
truth. `monte_carlo`: share of rollouts that ended right. `random_critic`,
`length_critic`, `logprob_critic`: controls, which know nothing of the question.
`oracle_critic`: the truth with a known share of it flipped, so never to be learned from
as truth. `custom_critic`: a critic of your own."""

VerdictScope = Literal["local", "value"]
"""`local`: is this step right, given the steps before it? `value`: can the thought
still end right?"""

VerdictOutcome = Literal["judged", "unparsed"]
"""`unparsed`: the model's output held no verdict. It is counted and kept; nobody turns
it into a number."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judgement of one step.

    Raises:
        ValueError: a "judged" verdict without a usable number: one NaN would make every
            sum over the tree NaN.
    """

    score: float
    """Probability that the step is right (or can still end right), in [0, 1]; NaN when
    `outcome` is "unparsed"."""
    source: VerdictSource
    scope: VerdictScope = "local"
    outcome: VerdictOutcome = "judged"
    log_likelihood_ratio: float = 0.0
    """log P(this verdict | right) - log P(this verdict | wrong), calibrated on
    validation questions, in nats; 0 says nothing."""
    reason: Hidden[str] | None = None
    """What the judge wrote. Hidden like the thought that it is about."""
    count: int = 1
    """Number of rollouts behind a Monte-Carlo estimate; 1 for the others."""

    def __post_init__(self) -> None:
        if self.outcome == "judged" and not (
            0.0 <= self.score <= 1.0 and math.isfinite(self.log_likelihood_ratio)
        ):
            raise ValueError(
                f"a verdict of {self.source} has the score {self.score} and the log-likelihood "
                f"ratio {self.log_likelihood_ratio}; "
                "the first must be in [0, 1] and the second finite; a critic without such numbers "
                'says so: outcome="unparsed"'
            )

    @property
    def is_right(self) -> bool:
        """Whether the evidence speaks for the step: a calibrated likelihood ratio above
        one. An unparsed verdict never does.
        """
        return self.outcome == "judged" and self.log_likelihood_ratio > 0.0
