"""Options of strategies that look at whole answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.search.base import AnswerSelection, SearchGroup, Selecting


class GreedyConfig(SearchGroup):
    """One thought at temperature 0: what every other strategy is compared with."""

    strategy: Literal["greedy"] = "greedy"
    """One thought at temperature 0."""


class BestOfNConfig(Selecting):
    """Independent samples to the answer, one of which is chosen.

    Source: self-consistency (arXiv:2203.11171) for `majority`; Let's Verify Step by Step (arXiv:2305.20050) for `best`.
    """

    strategy: Literal["best_of_n"] = "best_of_n"
    """Independent samples, one of which is chosen."""
    num_samples: int = Field(16, ge=1)
    """Samples per question."""
    temperature: float | None = Field(None, ge=0, le=10)
    """Sampling temperature; null: policy.temperature."""
    selection: AnswerSelection = "majority"
    """majority: the most frequent answer, no critic asked; best: the highest score; weighted_vote: scores added up per answer."""

    @property
    def needs_critic(self) -> bool:
        return self.selection != "majority" and self.logprob_weight == 0

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "num_samples", self.num_samples

    @property
    def temperature_of_samples(self) -> float | None:
        return self.temperature
