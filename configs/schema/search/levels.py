"""Options of searches that move level by level."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import ScoreAggregation, SelectingSteps


class LevelsConfig(SelectingSteps):
    """What level searches have in common."""

    num_samples: int = Field(16, ge=1)
    """Next steps (N) that one level asks for in all."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "num_samples", self.num_samples


class BeamConfig(LevelsConfig):
    """Beam search over steps, optionally with lookahead.

    Source: Snell et al. (arXiv:2408.03314).
    """

    strategy: Literal["beam"] = "beam"
    """Keep the best paths of every level and continue each with its share of the
    samples."""
    beam_width: int = Field(4, ge=1)
    """Paths that are kept per level; each gets num_samples / beam_width next steps."""
    lookahead: int = Field(0, ge=0)
    """Greedy steps that are looked ahead before a step is ranked; 0: none."""

    @model_validator(mode="after")
    def _width_divides_samples(self) -> Self:
        check_divides(self.num_samples, self.beam_width)
        return self


class DvtsConfig(LevelsConfig):
    """Diverse verifier tree search: independent greedy searches.

    Source: Beeching, Tunstall and Rush, "Scaling test-time compute with open models"
    (2024).
    """

    strategy: Literal["dvts"] = "dvts"
    """Search in independent subtrees, each of which keeps its best step only."""
    beam_width: int = Field(4, ge=1)
    """Independent subtrees; the node of each gets num_samples / beam_width next
    steps."""

    @model_validator(mode="after")
    def _width_divides_samples(self) -> Self:
        check_divides(self.num_samples, self.beam_width)
        return self


class RebaseConfig(LevelsConfig):
    """REBASE: next steps in proportion to the exponential of the reward.

    Source: Wu et al. (arXiv:2408.00724).
    """

    strategy: Literal["rebase"] = "rebase"
    """Share the samples of every level among its open paths by their rewards."""
    balance_temperature: float = Field(0.2, gt=0)
    """Temperature (T_b) of the softmax over rewards in [0, 1]: small follows the
    critic, large spreads evenly. The paper has 0.1 in its text and 0.2 in its released
    configuration."""
    allocation: Literal["exact", "paper"] = "exact"
    """exact: the released code's rounding, which spends the whole budget; paper: each
    share rounded for itself, which may spend less or more."""


class ParticlesConfig(LevelsConfig):
    """Particle filtering: samples of the policy, multiplied where the critic believes
    in them.

    Source: Puri et al. (arXiv:2502.01618).
    """

    strategy: Literal["particles"] = "particles"
    """Move particles step by step, and resample them by the critic's evidence."""
    num_samples: int = Field(16, ge=1)
    """Particles (N); those that have not ended take one step per round each."""
    ess_threshold: float = Field(0.5, ge=0, le=1)
    """Share of num_samples below which the effective sample size has the particles
    resampled; 1: at every step, as in the paper; 0: never."""
    aggregation: ScoreAggregation = "product"
    """How the critic's scores of the steps make the score of a path; for selection=best
    only: a particle's weight follows from the scope of its verdicts."""
    outcome_weight: float = Field(0.0, ge=0, le=1)
    """Share of the last step's verdict in the score; for selection=best only."""


def check_divides(
    num_samples: int,
    beam_width: int,
    *,
    samples: str = "search.num_samples",
    width: str = "search.beam_width",
) -> None:
    """Refuses a beam that does not divide its samples; `samples` and `width` say what
    the user calls the two.
    """
    if num_samples % beam_width:
        nearest = num_samples // beam_width * beam_width
        choices = " or ".join(str(choice) for choice in (nearest, nearest + beam_width) if choice)
        raise ValueError(
            f"{samples} ({num_samples}) must be a multiple of {width} ({beam_width}); set "
            f"{samples} to {choices}"
        )
