"""Base classes of the options of search strategies."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from configs.schema.base import ConfigGroup

AnswerSelection = Literal["majority", "best", "weighted_vote"]
"""`majority`: the most frequent answer. `best`: the answer of the sample with the
highest score. `weighted_vote`: the answer with the highest sum of scores."""

ScoreAggregation = Literal["last", "min", "product", "mean"]
"""How the score of a path is computed from the scores of its steps."""


class SearchOptions(ConfigGroup):
    """Base of all strategies' options, with the properties that the cross-group checks
    read (configs/schema/run.py).
    """

    continues_thoughts: ClassVar[bool] = True
    """Whether the search samples behind steps, not only behind the question."""

    @property
    def needs_critic(self) -> bool:
        """Whether the search requires verdicts."""
        return False

    @property
    def reads_logprobs(self) -> bool:
        """Whether the search, the selection of an answer or a command that reads its
        trees needs the policy's log-probabilities.
        """
        return True

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        """The option that sets the number of samples per prompt, and that number; more
        than one needs a temperature above 0.
        """
        return "", 1

    @property
    def temperature_of_samples(self) -> float | None:
        """The strategy's own sampling temperature; None: the policy's."""
        return None


class Selecting(SearchOptions):
    """Options of a strategy that chooses among several answers."""

    selection: AnswerSelection = "weighted_vote"
    """majority: the most frequent answer; best: the answer with the highest score;
    weighted_vote: the answer with the highest sum of scores."""
    aggregation: ScoreAggregation = "product"
    """How the score of a path is computed from the critic's scores of its steps."""
    outcome_weight: float = Field(0.0, ge=0, le=1)
    """Weight of the last step's verdict in the score: 0 is the process reward alone, 1
    the outcome reward alone."""
    logprob_weight: float = Field(0.0, ge=0)
    """Weight (beta) of the policy's log-probability in the log-score of a path, in
    nats; 0 as in the papers."""

    @property
    def needs_critic(self) -> bool:
        return self.logprob_weight == 0


class Stepping(SearchOptions):
    """Options of a strategy that expands step by step."""

    reserve_tokens: int = Field(64, ge=0)
    """Generated tokens reserved for a greedy completion to an answer when the budget
    ends."""


class SelectingSteps(Selecting, Stepping):
    """Options of a strategy that ranks steps and chooses among answers."""
