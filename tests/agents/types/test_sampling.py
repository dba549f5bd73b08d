"""Sampling parameters: which source wins."""

from __future__ import annotations

from agents.types import Sampling, SamplingOptions


def test_the_first_source_that_sets_a_parameter_wins() -> None:
    own = SamplingOptions(temperature=0.0, top_k=0)
    model = SamplingOptions(temperature=0.6, top_p=0.95, top_k=20)
    family = SamplingOptions(temperature=0.7, min_p=0.05)
    assert own.or_else(model).or_else(family).resolve() == Sampling(
        temperature=0.0, top_p=0.95, top_k=0, min_p=0.05
    )


def test_unset_options_are_neutral() -> None:
    assert SamplingOptions().resolve() == Sampling(1.0, 1.0)
