"""Search strategies: one group of options for each, chosen with `search=greedy | best_of_n | critique_loop`.

A new strategy is a class with its own `strategy` literal, added to `SearchConfig`: the group option, `--help` and the tests follow. What it
builds is said in `graphs.resources.build_strategy`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.schema.base import Group

AnswerSelection = Literal["majority", "best", "weighted_vote"]
"""`majority`: the answer most samples agree on. `best`: the sample with the highest score. `weighted_vote`: scores add up per answer."""

ScoreAggregation = Literal["last", "min", "product", "mean"]
"""How the scores of its steps make the score of a sample."""


class GreedyConfig(Group):
    """One thought at temperature 0: what every other strategy is compared with."""

    strategy: Literal["greedy"] = "greedy"
    """One thought at temperature 0."""


class BestOfNConfig(Group):
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
    aggregation: ScoreAggregation = "product"
    """How the critic's scores of the steps make the score of a sample."""
    logprob_weight: float = Field(0.0, ge=0)
    """Weight (beta) of the policy's log-probability, in nats, that is added to the log-score of a sample."""


class CritiqueLoopConfig(Group):
    """The suggestion-critique loop: propose children, judge them, keep the best, reflect on the wrong ones, go back.

    Source: O1 Replication Journey (arXiv:2410.18982), with the pruning of beam search.
    """

    strategy: Literal["critique_loop"] = "critique_loop"
    """Propose, judge, prune, reflect, backtrack."""
    num_children: int = Field(1, ge=1)
    """Next steps (w) that a node proposes in one request."""
    beam_width: int = Field(1, ge=1)
    """Most nodes (K) that are kept per level; one level holds at most num_children times as many as the level before."""
    max_children: int = Field(8, ge=1)
    """Proposals that one node may get in all; where none of them stands, the least bad one is taken."""
    max_backtracks: int = Field(4, ge=0)
    """How often a thought may give up a kept step; afterwards the reflector is not asked any more."""
    reserve_tokens: int = Field(64, ge=0)
    """Generated tokens kept back for writing the thought through to an answer, greedily, when the budget ends."""
    logprob_weight: float = Field(0.0, ge=0)
    """Weight (beta) of the policy's log-probability, in nats, beside the critic's evidence when steps are ranked."""
    show_mistakes: int = Field(0, ge=0)
    """Latest wrong siblings that the policy is shown before it tries again."""
    first_factor: str | None = None
    """Name of the thought factor of a first proposal; null: the policy chooses."""
    retry_factor: str | None = None
    """Name of the thought factor of a further try after a mistake was shown; null: the policy chooses."""

    @model_validator(mode="after")
    def _tries_go_together(self) -> Self:
        if self.num_children > self.max_children:
            raise ValueError(
                f"search.num_children ({self.num_children}) must be at most search.max_children ({self.max_children}); "
                "lower the first or raise the second"
            )
        if self.retry_factor is not None and self.show_mistakes == 0:
            raise ValueError(
                f"search.retry_factor ({self.retry_factor}) is for tries after a mistake was shown and search.show_mistakes is 0; "
                "set search.show_mistakes above 0 or search.retry_factor to null"
            )
        return self


SearchConfig = Annotated[GreedyConfig | BestOfNConfig | CritiqueLoopConfig, Field(discriminator="strategy")]
"""Any strategy; `strategy` says which."""
