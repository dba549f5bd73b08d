"""A verdict holds numbers that can be added up, or it is marked as unparsed."""

from __future__ import annotations

import math

import pytest

from agents.types import Verdict


@pytest.mark.parametrize(
    ("score", "evidence"),
    [
        (math.nan, 0.0),
        (0.5, math.nan),
        (0.5, math.inf),
        (0.5, -math.inf),
        (-0.1, 0.0),
        (1.1, 0.0),
        (math.inf, 0.0),
    ],
)
def test_only_an_unparsed_verdict_may_lack_a_finite_number(score: float, evidence: float) -> None:
    with pytest.raises(
        ValueError,
        match=rf"of token_critic has the score {score} and the "
        rf"log-likelihood ratio {evidence}; "
        r".*unparsed",
    ):
        Verdict(score, "token_critic", log_likelihood_ratio=evidence)
    assert not Verdict(score, "token_critic", outcome="unparsed").is_right
