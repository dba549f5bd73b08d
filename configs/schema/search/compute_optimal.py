"""Options of compute-optimal search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.schema.search.base import AnswerSelection, Selecting
from configs.schema.search.levels import BeamConfig, DvtsConfig, check_divides

Searcher = Literal["best_of_n", "beam", "dvts", "rebase", "particles", "posterior"]
"""A strategy that can continue from a probe, with default options except for the number
of samples and how answers are chosen."""

_WIDTHS: Mapping[str, int] = {
    "beam": BeamConfig.model_fields["beam_width"].default,
    "dvts": DvtsConfig.model_fields["beam_width"].default,
}
"""Default beam widths; each must divide the samples of its strategy."""


class ComputeOptimalConfig(Selecting):
    """A few samples estimate the difficulty of a question, which selects the strategy
    and its budget.

    Source: Snell et al. (arXiv:2408.03314), section 3.2.
    """

    strategy: Literal["compute_optimal"] = "compute_optimal"
    """Answer easy questions by a small vote; search where the samples disagree."""
    probe_samples: int = Field(4, ge=2)
    """Completions by which difficulty is estimated."""
    estimate: Literal["agreement", "critic"] = "agreement"
    """agreement: difficulty is the share of the probe's samples without its most
    frequent answer; critic: the mean probability that its answers are wrong."""
    easy_below: float = Field(0.1, ge=0, le=1)
    """Difficulty below which the vote of the probe is the answer."""
    hard_from: float = Field(0.7, ge=0, le=1)
    """Difficulty at or above which a question is hard."""
    medium: Searcher = "posterior"
    """Strategy for questions that are neither easy nor hard."""
    medium_samples: int = Field(16, ge=1)
    """search.num_samples of the medium strategy, the probe included."""
    hard: Searcher = "beam"
    """Strategy for hard questions."""
    hard_samples: int = Field(16, ge=1)
    """search.num_samples of the hard strategy, the probe included."""
    selection: AnswerSelection = "weighted_vote"
    """How the answer is chosen after a search: majority, best or weighted_vote. The
    answer of an easy question is the majority of the probe."""

    @property
    def samples_per_prompt(self) -> tuple[str, int]:
        return "probe_samples", self.probe_samples

    @model_validator(mode="after")
    def _difficulties_are_in_order(self) -> Self:
        if self.easy_below > self.hard_from:
            raise ValueError(
                f"search.easy_below ({self.easy_below}) must be at most search.hard_from "
                f"({self.hard_from}); lower the first or raise the second"
            )
        return self

    @model_validator(mode="after")
    def _widths_divide_samples(self) -> Self:
        for key, searcher, samples in (
            ("medium", self.medium, self.medium_samples),
            ("hard", self.hard, self.hard_samples),
        ):
            if searcher in _WIDTHS:
                check_divides(
                    samples,
                    _WIDTHS[searcher],
                    samples=f"search.{key}_samples",
                    width=f"the width of search.{key}={searcher}",
                )
        return self
