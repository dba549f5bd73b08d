"""Checks answers to reasoning-gym problems.

The data sets' own scorers score wrong answers up to 0.75, score 1.0 for some that only
contain the right one, and Countdown's evaluates the answer as Python. So a correct
answer must equal the gold one canonically and also score 1.0 (the scorer knows where
case or order matters). The cost: if several answers are right (a word ladder), only the
gold one counts. Exception: for Countdown and the 24 puzzle any expression is evaluated
exactly, and must use each given number once.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

from agents.answers.checkers.check import CheckResult, ExactChecker, too_long
from agents.answers.values.canonical import canonical_form
from agents.types import Question

_EVALUATED = ("countdown", "puzzle24")
_SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": ""}
_OPERATORS = re.compile(r"\\(?:times|cdot|div|left|right)(?![A-Za-z])")


class GymChecker:
    """Requires `question.metadata["dataset"]` and `["entry"]` (the generator's
    metadata), which graphs.tasks.reasoning_gym sets.
    """

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether the answer is exactly right."""
        dataset, entry = question.metadata.get("dataset"), question.metadata.get("entry")
        if not isinstance(dataset, str) or not isinstance(entry, dict):
            return CheckResult(
                "failed",
                "question.metadata names no reasoning-gym dataset; load the question with "
                "graphs.tasks.load_task",
            )
        if dataset in _EVALUATED and answer.strip():
            return check_countdown({"target": 24, **entry}, answer)
        result = await ExactChecker("text").check(question, answer)
        if not result.correct:
            return result
        scored = {"question": question.text, "answer": question.gold, "metadata": entry}
        # The canonical form is scored, too: the scorer rejects "1,000" for "1000".
        try:
            score = max(
                score_entry(dataset, form, scored)
                for form in (answer.strip(), canonical_form(answer, "text"))
            )
        # third-party code; its errors must not count as wrong answers
        except Exception as error:
            return CheckResult(
                "failed", f"the scorer of {dataset} raised {type(error).__name__}: {error}"
            )
        return (
            result
            if score == 1.0
            else CheckResult(
                "wrong", f"equal to the gold answer, but {dataset} scores its form {score:g}"
            )
        )

    async def close(self) -> None:
        """Has nothing to end."""


def check_countdown(entry: dict[str, Any], answer: str) -> CheckResult:
    """Returns whether `answer` is an expression that uses each given number once and
    evaluates exactly to the target.
    """
    from agents.families.arithmetic import evaluate_exactly

    if (long := too_long(answer)) is not None:
        return long
    expression, _, stated = _OPERATORS.sub(
        lambda match: _SIGNS[match[0]], canonical_form(answer, "text")
    ).partition("=")
    value, used = evaluate_exactly(expression)
    used = [abs(number) for number in used]  # "-3 + 10" uses 3 and 10
    if value is None:
        return CheckResult("wrong", "the answer is not an arithmetic expression that has a value")
    if Counter(used) != Counter(entry["numbers"]):
        return CheckResult(
            "wrong",
            f"the expression uses {sorted(used)}, the question gives {sorted(entry['numbers'])}",
        )
    if value != entry["target"] or (stated and stated.strip() != str(entry["target"])):
        return CheckResult("wrong", f"the expression is {value}, not {entry['target']}")
    return CheckResult("correct", f"the expression is {entry['target']}")


def score_entry(dataset: str, answer: str, entry: dict[str, Any]) -> float:
    """Returns the score of the data set's own scorer, in [0, 1]."""
    return float(_scorer(dataset).score_answer(answer=answer, entry=entry))


@lru_cache(maxsize=128)
def _scorer(dataset: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(dataset, size=1, seed=0)
