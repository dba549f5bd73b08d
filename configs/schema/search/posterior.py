"""Options of posterior search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup
from configs.schema.search.base import Stepping


class Assumptions(ConfigGroup):
    """The assumptions of posterior search, fitted on validation questions of the pocket
    model.
    """

    right_rate: float = Field(0.8, gt=0, lt=1)
    """Chance that a step is right that was drawn below right ones, before anything is
    seen of the question."""
    prior_strength: float = Field(16.0, gt=0)
    """How many observed steps that chance is worth, and how many samples the rates of
    giving up."""
    logprob_weight: float = Field(0.5, ge=0)
    """How much the log-odds that a step is right rise with the log-odds that the policy
    gave it; 0: its opinion does not count."""
    evidence_weight: float = Field(0.75, ge=0)
    """Factor of the critic's log-likelihood ratios; below 1 where its errors are
    correlated."""
    wrong_answers: float = Field(10.0, ge=1)
    """Number of equally likely wrong answers: the more, the more it means when two
    samples agree."""
    accident: float = Field(0.05, gt=0, lt=1)
    """Chance that a path with a wrong step ends at the right answer."""
    abort_ratio: float = Field(0.2, gt=0, lt=1)
    """How often a right path ends without an answer, or in the policy's own doubt
    (policy.backtrack_tokens), over how often a wrong one does."""
    abort_rate: float | None = Field(None, ge=0, lt=1)
    """Share of the samples below a wrong step that are taken to end so: the larger, the
    more it means when most of them go on. 0: going on says nothing, and that there was
    such an end counts once, however many. null: 0.3 where the policy doubts
    (policy.backtrack_tokens), else 0."""
    many_answers: bool = False
    """Whether a question may have several right answers (Countdown's expressions), so
    that they are no rivals."""


class PosteriorConfig(Assumptions, Stepping):
    """Infer from noisy verdicts what is alive, sample where it pays, stop when sure."""

    strategy: Literal["posterior"] = "posterior"
    """Take verdicts for evidence: sample where belief x chance per token is largest,
    judge what is in doubt, stop when sure."""
    num_samples: int = Field(16, ge=1)
    """What it may draw in all, in whole answers; a step that is asked for alone counts
    as its share of one."""
    first_samples: int = Field(2, ge=1)
    """Samples of the first round, all through to the answer."""
    batch_size: int = Field(4, ge=1)
    """Samples of each further round."""
    confidence: float = Field(0.95, gt=0, le=1)
    """Belief in the best answer at which the search stops; 1: not before the budget
    ends."""
    min_uncertainty: float = Field(0.02, gt=0, lt=1)
    """Chance that a step is alive, times that it is wrong if the one before is alive,
    below which nobody is asked for its verdict."""
    worth_tokens: float | None = Field(None, gt=0)
    """Generated tokens that a solved question is worth: the search stops where the next
    batch costs more than it may gain. null: no end."""
    step_cost: float = Field(1.0, ge=1)
    """What a step costs that is asked for alone, in steps of a whole answer: in
    generated tokens 1, in FLOPs and time about 2; the larger, the more is generated
    through to the answer."""
    selector_model: str | None = None
    """File of python -m graphs.fit_selector, whose beliefs say when to stop and what to
    answer, where the critic's errors are correlated; null: the assumptions above."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "first_samples", min(self.first_samples, self.num_samples)
