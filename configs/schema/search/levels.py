"""Options of searches that move level by level."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import SelectingSteps


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
    """Keep the best paths of every level and continue each with its share of the samples."""
    beam_width: int = Field(4, ge=1)
    """Paths that are kept per level; each gets num_samples / beam_width next steps."""
    lookahead: int = Field(0, ge=0)
    """Greedy steps that are looked ahead before a step is ranked; 0: none."""

    @model_validator(mode="after")
    def _width_divides_samples(self) -> Self:
        check_divides(self.num_samples, self.beam_width)
        return self


def check_divides(num_samples: int, beam_width: int) -> None:
    """Refuses a beam that does not divide its samples."""
    if num_samples % beam_width:
        nearest = num_samples // beam_width * beam_width
        choices = " or ".join(str(choice) for choice in (nearest, nearest + beam_width) if choice)
        raise ValueError(
            f"search.num_samples ({num_samples}) must be a multiple of search.beam_width ({beam_width}); "
            f"set search.num_samples to {choices}"
        )
