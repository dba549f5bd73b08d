"""What levels of effort cost, on the scripted pocket."""

from __future__ import annotations

import pytest

from configs import compose
from graphs.reasoner.reasoner import Reasoner
from graphs.tasks import load_task

SCRIPTED = [
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
]
QUESTIONS = load_task("pocket", size=10).questions


def spent(words: list[str]) -> list[int]:
    """Returns the generated tokens of each question, all roles together; no cap may
    have been exceeded.
    """
    budget = compose([*SCRIPTED, *words]).budget
    costs = []
    with Reasoner([*SCRIPTED, *words]) as reasoner:
        for question in QUESTIONS:
            usage = reasoner.ask(question).usage.values()
            costs.append(sum(role["generated_tokens"] for role in usage))
            assert budget.max_tokens is not None and costs[-1] <= budget.max_tokens
            assert (
                budget.max_calls is not None
                and sum(role["calls"] for role in usage) <= budget.max_calls
            )
    return costs


def test_more_effort_costs_more() -> None:
    low, medium, high = (sum(spent([f"effort={level}"])) for level in ("low", "medium", "high"))
    assert 0 < low < medium < high


@pytest.mark.parametrize("level", ["medium", "high"])
def test_a_smaller_cap_binds_and_is_not_exceeded(level: str) -> None:
    free, capped = spent([f"effort={level}"]), spent([f"effort={level}", "budget.max_tokens=120"])
    assert max(capped) <= 120 < max(free)
