"""Options of sequential revision."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import Selecting


class SequentialRevisionConfig(Selecting):
    """Completions, each wrong one sampled again from before its first wrong step; the
    answer is chosen among all attempts.

    Source: Snell et al. (arXiv:2408.03314), section 6.
    """

    strategy: Literal["sequential_revision"] = "sequential_revision"
    """Sample a completion, judge its steps, and sample again from before the first
    wrong one."""
    num_samples: int = Field(16, ge=1)
    """Total number of attempts, first ones and revisions."""
    num_chains: int = Field(4, ge=1)
    """Number of first attempts, which are then revised in parallel."""
    show_mistakes: int = Field(4, ge=0)
    """Number of latest wrong steps at the same place that the policy is shown before a
    revision."""

    @property
    def needs_critic(self) -> bool:
        return True

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return (
            ("num_chains", self.num_chains)
            if self.show_mistakes
            else ("num_samples", self.num_samples)
        )

    @model_validator(mode="after")
    def _chains_are_paid_for(self) -> Self:
        if self.num_chains > self.num_samples:
            raise ValueError(
                f"search.num_chains ({self.num_chains}) must be at most search.num_samples "
                f"({self.num_samples}), the attempts in all; lower the first or raise the second"
            )
        return self
