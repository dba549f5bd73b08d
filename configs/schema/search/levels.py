"""Options of level-by-level searches."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import ScoreAggregation, SelectingSteps


class LevelsConfig(SelectingSteps):
    """Common options of level-by-level searches."""

    num_samples: int = Field(16, ge=1)
    """Next steps (N) sampled per level."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "num_samples", self.num_samples


class BeamConfig(LevelsConfig):
    """Beam search over steps, optionally with lookahead.

    Source: Snell et al. (arXiv:2408.03314).
    """

    strategy: Literal["beam"] = "beam"
    """Keep the best paths of every level, and continue each with an equal share of the
    samples."""
    beam_width: int = Field(4, ge=1)
    """Paths that are kept per level; each gets num_samples / beam_width next steps."""
    lookahead: int = Field(0, ge=0)
    """Greedy steps decoded behind a step before it is ranked; 0: none."""

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
    """Search independent subtrees greedily, keeping the best step of each."""
    beam_width: int = Field(4, ge=1)
    """Number of subtrees; num_samples / beam_width next steps are sampled in each."""

    @model_validator(mode="after")
    def _width_divides_samples(self) -> Self:
        check_divides(self.num_samples, self.beam_width)
        return self


class RebaseConfig(LevelsConfig):
    """REBASE: samples allocated by a softmax of the rewards.

    Source: Wu et al. (arXiv:2408.00724).
    """

    strategy: Literal["rebase"] = "rebase"
    """Allocate the samples of every level to its open paths by their rewards."""
    balance_temperature: float = Field(0.2, gt=0)
    """Temperature (T_b) of the softmax over rewards in [0, 1]; a low one follows the
    critic, a high one allocates evenly. The paper uses 0.1 in its text and 0.2 in its
    released configuration."""
    allocation: Literal["exact", "paper"] = "exact"
    """exact: the released code's rounding, which spends the whole budget; paper: each
    share is rounded separately, which may spend less or more."""


class ParticlesConfig(LevelsConfig):
    """Particle filtering: samples of the policy, resampled by the critic's evidence.

    Source: Puri et al. (arXiv:2502.01618).
    """

    strategy: Literal["particles"] = "particles"
    """Sample particles step by step, and resample them by the critic's evidence."""
    num_samples: int = Field(16, ge=1)
    """Number of particles (N); each open one takes one step per round."""
    ess_threshold: float = Field(0.5, ge=0, le=1)
    """Resample when the effective sample size is below this share of num_samples; 1: at
    every step, as in the paper; 0: never."""
    aggregation: ScoreAggregation = "product"
    """How the score of a path is computed from the critic's scores of its steps. Used
    by selection=best only; particle weights depend on the scope of the verdicts
    instead."""
    outcome_weight: float = Field(0.0, ge=0, le=1)
    """Weight of the last step's verdict in the score. Used by selection=best only."""


def check_divides(
    num_samples: int,
    beam_width: int,
    *,
    samples: str = "search.num_samples",
    width: str = "search.beam_width",
) -> None:
    """Raises ValueError if `beam_width` does not divide `num_samples`; `samples` and
    `width` are their names in the message.
    """
    if num_samples % beam_width:
        nearest = num_samples // beam_width * beam_width
        choices = " or ".join(str(choice) for choice in (nearest, nearest + beam_width) if choice)
        raise ValueError(
            f"{samples} ({num_samples}) must be a multiple of {width} ({beam_width}); set "
            f"{samples} to {choices}"
        )
