"""Options of the suggestion-critique loop."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import Stepping


class CritiqueLoopConfig(Stepping):
    """The suggestion-critique loop: propose children, judge them, keep the best,
    reflect on the wrong ones, backtrack.

    Source: O1 Replication Journey (arXiv:2410.18982), with the pruning of beam search.
    """

    strategy: Literal["critique_loop"] = "critique_loop"
    """Propose, judge, prune, reflect, backtrack."""
    num_children: int = Field(1, ge=1)
    """Next steps (w) that are sampled from a node in one request."""
    beam_width: int = Field(1, ge=1)
    """Maximum number of nodes (K) kept per level; a level also keeps at most
    num_children times as many as the level before."""
    max_children: int = Field(8, ge=1)
    """Maximum number of next steps sampled from one node; if none is judged right, the
    wrong one with the best verdict is kept."""
    max_backtracks: int = Field(4, ge=0)
    """Maximum number of backtracks over kept steps per thought; the reflector is not
    called afterwards."""
    logprob_weight: float = Field(0.0, ge=0)
    """Weight (beta) of the policy's log-probability, in nats, when steps are ranked."""
    show_mistakes: int = Field(0, ge=0)
    """Number of latest wrong siblings that the policy is shown before a retry."""
    first_temperature: float | None = Field(0.0, ge=0, le=10)
    """Temperature of a node's first sample; 0: greedy, so that the loop is greedy
    search until a step is judged wrong; null: policy.temperature. Retries use
    policy.temperature."""
    first_factor: str | None = None
    """Thought factor of the first samples of a node; null: the policy chooses."""
    retry_factor: str | None = None
    """Thought factor of a retry after a mistake was shown; null: the policy chooses."""

    @property
    def needs_critic(self) -> bool:
        return True

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "num_children", self.num_children

    @model_validator(mode="after")
    def _tries_go_together(self) -> Self:
        if self.num_children > self.max_children:
            raise ValueError(
                f"search.num_children ({self.num_children}) must be at most search.max_children "
                f"({self.max_children}); lower the first or raise the second"
            )
        if self.retry_factor is not None and self.show_mistakes == 0:
            raise ValueError(
                f"search.retry_factor ({self.retry_factor}) is for tries after a mistake was "
                "shown and search.show_mistakes is 0; "
                "set search.show_mistakes above 0 or search.retry_factor to null"
            )
        return self
