"""A verdict: a critic's score of a step, and the calibrated weight of that evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from agents.types.added import ADDED
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
    "arithmetic_critic",
]
"""`token_critic`: probability of one next token. `working_critic`: the verdict at the
end of a written check. `value_head`: the output of a model's value head.
`outcome_model`: judges whole solutions. `exact_checker`: the truth, computed by a
program. `monte_carlo`: share of rollouts with a right answer. `random_critic`,
`length_critic`, `logprob_critic`: controls that do not read the question.
`oracle_critic`: the truth with a known share of verdicts inverted, so not usable as a
training label. `custom_critic`: a user-defined critic. `arithmetic_critic`: executes
the arithmetic claims of a step."""

VerdictScope = Literal["local", "value"]
"""`local`: is this step right, given the steps before it? `value`: can the thought
still end right?"""

VerdictOutcome = Literal["judged", "unparsed", "no_claim"]
"""`unparsed`: the model's output held no verdict. It is stored and counted, but never
converted to a score. `no_claim`: the step holds nothing that this critic can judge."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one step.

    Raises:
        ValueError: a "judged" verdict has a score outside [0, 1] or a non-finite ratio:
            one NaN would make every sum over the tree NaN.
    """

    score: float
    """Probability that the step is right (or can still end right), in [0, 1]; NaN
    unless `outcome` is "judged"."""
    source: VerdictSource
    scope: VerdictScope = "local"
    outcome: VerdictOutcome = "judged"
    log_likelihood_ratio: float = 0.0
    """log P(this verdict | right) - log P(this verdict | wrong), calibrated on
    validation questions, in nats; 0 is no evidence. Without a calibration it is the
    log-odds of the score, and only its order has a meaning."""
    reason: Hidden[str] | None = None
    """The text that the critic wrote; hidden like the thought itself."""
    count: int = 1
    """Number of rollouts of a Monte-Carlo estimate; 1 for other sources."""
    is_calibrated: bool = field(default=True, metadata=ADDED)
    """Whether `log_likelihood_ratio` is evidence. Verdicts of a critic without a
    calibration rank steps, and alone make no step right or wrong."""
    wrong_below: float = field(default=0.0, metadata=ADDED)
    """A step is wrong if its log-likelihood ratio is below this number of nats, at most
    0: where most steps are right, weak evidence against one leaves it probably
    right."""

    def __post_init__(self) -> None:
        if self.outcome == "judged" and not (
            0.0 <= self.score <= 1.0 and math.isfinite(self.log_likelihood_ratio)
        ):
            raise ValueError(
                f"a verdict of {self.source} has the score {self.score} and the log-likelihood "
                f"ratio {self.log_likelihood_ratio}; "
                "the first must be in [0, 1] and the second finite; a critic without such numbers "
                'returns outcome="unparsed"'
            )

    @property
    def is_evidence(self) -> bool:
        """Whether the log-likelihood ratio is calibrated evidence."""
        return self.outcome == "judged" and self.is_calibrated

    @property
    def is_right(self) -> bool:
        """Whether the calibrated likelihood ratio is above one."""
        return self.is_evidence and self.log_likelihood_ratio > 0.0

    @property
    def is_wrong(self) -> bool:
        """Whether the step is probably wrong: its calibrated log-likelihood ratio is
        below `wrong_below`.
        """
        return self.is_evidence and self.log_likelihood_ratio < self.wrong_below
