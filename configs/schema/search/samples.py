"""Options of strategies that sample whole completions."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from configs.schema.search.base import AnswerSelection, SearchOptions, Selecting


class GreedyConfig(SearchOptions):
    """One completion at temperature 0: the baseline of every other strategy."""

    continues_thoughts: ClassVar[bool] = False
    strategy: Literal["greedy"] = "greedy"
    """One completion at temperature 0."""

    @property
    def reads_logprobs(self) -> bool:
        return False


class SamplingAnswers(SearchOptions):
    """Options of a strategy that samples whole completions."""

    continues_thoughts: ClassVar[bool] = False
    num_samples: int = Field(16, ge=1)
    """Samples per question."""
    temperature: float | None = Field(None, ge=0, le=10)
    """Sampling temperature; null: policy.temperature."""

    @property
    def reads_logprobs(self) -> bool:
        return False

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "num_samples", self.num_samples

    @property
    def temperature_of_samples(self) -> float | None:
        return self.temperature


class BestOfNConfig(SamplingAnswers, Selecting):
    """Independent samples to the answer, one of which is chosen.

    Source: self-consistency (arXiv:2203.11171) for `majority`; Cobbe et al.
    (arXiv:2110.14168) for `best`.
    """

    strategy: Literal["best_of_n"] = "best_of_n"
    """Independent samples, one of which is chosen."""
    selection: AnswerSelection = "majority"
    """majority: the most frequent answer, without a critic; best: the answer with the
    highest score; weighted_vote: the answer with the highest sum of scores."""

    @property
    def reads_logprobs(self) -> bool:
        return self.logprob_weight > 0

    @property
    def needs_critic(self) -> bool:
        return self.selection != "majority" and super().needs_critic


class SelfConsistencyConfig(SamplingAnswers):
    """A majority vote that stops sampling when it is decided.

    Source: Let's sample step by step (arXiv:2305.11860), the Beta criterion.
    """

    strategy: Literal["self_consistency"] = "self_consistency"
    """Sample in batches until the leading answer is likely to stay ahead."""
    num_samples: int = Field(16, ge=1)
    """Maximum number of samples per question."""
    batch_size: int = Field(4, ge=1)
    """Samples between two checks of the vote; 1 as in the paper, more are faster."""
    confidence: float = Field(0.95, ge=0.5, lt=1)
    """Probability that the leading answer stays ahead of the second, above which
    sampling stops."""
