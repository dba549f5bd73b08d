"""What the options of search strategies have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup

AnswerSelection = Literal["majority", "best", "weighted_vote"]
"""`majority`: the answer most samples agree on. `best`: the sample with the highest
score. `weighted_vote`: scores add up per answer."""

ScoreAggregation = Literal["last", "min", "product", "mean"]
"""How the scores of its steps make the score of a path."""


class SearchOptions(ConfigGroup):
    """Base of all strategies' options, with what the rules between the groups ask about
    (configs/schema/run.py).
    """

    @property
    def needs_critic(self) -> bool:
        """Whether the search cannot do without verdicts."""
        return False

    @property
    def reads_logprobs(self) -> bool:
        """Whether the policy's log-probabilities are read by the search, by the choice
        of an answer, or by commands that read its trees.
        """
        return True

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        """The option that says how many samples one prompt gets, and their number: more
        than one must be drawn at random.
        """
        return "", 1

    @property
    def temperature_of_samples(self) -> float | None:
        """The strategy's own sampling temperature; None: the policy's."""
        return None


class Selecting(SearchOptions):
    """Options of a strategy that chooses among several answers."""

    selection: AnswerSelection = "weighted_vote"
    """majority: the most frequent answer; best: the highest score; weighted_vote:
    scores added up per answer."""
    aggregation: ScoreAggregation = "product"
    """How the critic's scores of the steps make the score of a path."""
    outcome_weight: float = Field(0.0, ge=0, le=1)
    """Share of the last step's verdict in the score: 0 is the process model alone, 1
    the outcome model, between them their mix."""
    logprob_weight: float = Field(0.0, ge=0)
    """Weight (beta) of the policy's log-probability, in nats, that is added to the
    log-score of a path; 0 is the papers' form."""

    @property
    def needs_critic(self) -> bool:
        return self.logprob_weight == 0


class Stepping(SearchOptions):
    """Options of a strategy that expands step by step."""

    reserve_tokens: int = Field(64, ge=0)
    """Generated tokens kept back for writing the thought through to an answer,
    greedily, when the budget ends."""


class SelectingSteps(Selecting, Stepping):
    """Options of a strategy that ranks steps, and chooses among answers."""
