"""Options of posterior search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup
from configs.schema.search.base import Stepping


class Assumptions(ConfigGroup):
    """Parameters of posterior search's probability model; the defaults are fitted on
    the pocket model's validation questions.
    """

    right_rate: float = Field(0.8, gt=0, lt=1)
    """Prior probability that a step is right, given that all steps before it are."""
    prior_strength: float = Field(16.0, gt=0)
    """Weight of right_rate, in observed steps, and of abort_rate, in samples."""
    logprob_weight: float = Field(0.5, ge=0)
    """Slope of the log-odds that a step is right in the log-odds of the policy's
    probability of it; 0: the policy's probability is ignored."""
    evidence_weight: float = Field(0.75, ge=0)
    """Factor on the critic's log-likelihood ratios; set it below 1 where the critic's
    errors are correlated."""
    wrong_answers: float = Field(10.0, ge=1)
    """Number of equally likely wrong answers; a larger number makes agreement between
    samples stronger evidence."""
    accident: float = Field(0.05, gt=0, lt=1)
    """Probability that a path with a wrong step ends at the right answer."""
    abort_ratio: float = Field(0.2, gt=0, lt=1)
    """Abort rate below a correct node divided by that below an incorrect one. A sample
    aborts when it ends without an answer or in a backtrack token
    (policy.backtrack_tokens)."""
    abort_rate: float | None = Field(None, ge=0, lt=1)
    """Probability that a sample below an incorrect node aborts; a larger one makes
    samples that do not abort stronger evidence for the node. 0: only aborts are
    evidence, once per node. null: 0.3 for a policy with backtrack tokens
    (policy.backtrack_tokens), else 0."""
    many_answers: bool = False
    """Whether a question may have several right answers (Countdown's expressions), so
    that answers do not exclude each other."""


class PosteriorOptions(Assumptions, Stepping):
    """Options of posterior search and of a strategy that may choose it."""

    strategy: str
    """Name of the strategy."""
    num_samples: int = Field(16, ge=1)
    """Samples of the whole search, in completions of mean length; a single step counts
    as its share of one."""
    first_samples: int = Field(2, ge=1)
    """Samples of the first round, all from the question to an answer."""
    batch_size: int = Field(4, ge=1)
    """Samples of each further round."""
    confidence: float = Field(0.95, gt=0, le=1)
    """Probability of the best answer at which the search stops; 1: run until the budget
    ends."""
    min_uncertainty: float = Field(0.02, gt=0, lt=1)
    """Least uncertainty at which a step is judged: P(node correct) x P(step wrong given
    that its parent is correct)."""
    worth_tokens: float | None = Field(None, gt=0)
    """Generated tokens that a solved question is worth; the search stops when the next
    batch costs more than its expected gain. null: cost never stops the search."""
    step_cost: float = Field(1.0, ge=1)
    """Cost of a step sampled alone, relative to a step of a whole completion: 1 in
    generated tokens, about 2 in FLOPs and time. A larger cost makes the search sample
    through to the answer more often."""
    selector_model: str | None = None
    """File written by python -m graphs.fit_selector; its model gives the probabilities
    of the answers where the critic's errors are correlated. null: the probability model
    above."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "first_samples", min(self.first_samples, self.num_samples)


class PosteriorConfig(PosteriorOptions):
    """Infer from noisy verdicts which nodes are correct, sample where a new answer
    costs least, stop when one answer is probable enough.
    """

    strategy: Literal["posterior"] = "posterior"
    """Treat verdicts as evidence: sample where P(correct) x P(new answer) per token is
    largest, judge uncertain steps, stop when one answer is probable enough."""


class AutoConfig(PosteriorOptions):
    """Posterior search for questions whose answer is computed, one completion at
    temperature 0 for all others.
    """

    strategy: Literal["auto"] = "auto"
    """Read from the question whether to search: posterior search if its answer is
    computed, else one completion at temperature 0."""
