"""Thought factors: which may follow which."""

from __future__ import annotations

import pytest

from agents.types import ThoughtFactor
from agents.types.factor import QUESTION, legal_factors
from configs import compose

ANYWHERE = ThoughtFactor(name="check", opening="Let me check: ")
FIRST = ThoughtFactor(name="restate", opening="", after=(QUESTION,))
LATER = ThoughtFactor(name="correct", opening="Wait, ", after=("check", "correct"))


def names(factors: tuple[ThoughtFactor, ...], previous: str | None) -> list[str]:
    return [factor.name for factor in legal_factors(factors, previous)]


def test_without_a_list_a_factor_may_come_anywhere() -> None:
    assert all(
        names((ANYWHERE,), previous) == ["check"]
        for previous in (QUESTION, "check", "unheard of", None)
    )


def test_with_a_list_it_may_follow_those_alone() -> None:
    factors = (FIRST, LATER)
    assert [names(factors, previous) for previous in (QUESTION, "check", "restate", None)] == [
        ["restate"],
        ["correct"],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("previous", "legal"),
    [
        (QUESTION, "A1 A2 A3 A5"),
        ("rephrase", "A1 A2 A3"),
        ("sub_question", "A1 A2 A3 A4"),
        ("answer_again", "A1 A2 A3"),
        ("one_step", "A1 A2"),
        ("remaining_steps", ""),
    ],
)
def test_the_actions_of_rstar_follow_each_other_as_in_the_paper(previous: str, legal: str) -> None:
    factors = compose(["policy=rstar"]).policy.factors
    assert " ".join(factor.description[:2] for factor in legal_factors(factors, previous)) == legal


def test_only_the_direct_answer_of_rstar_writes_through() -> None:
    factors = compose(["policy=rstar"]).policy.factors
    assert [factor.name for factor in factors if factor.horizon == "answer"] == ["remaining_steps"]
