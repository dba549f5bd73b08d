"""Checks answers with the task family that recognises the question, which accepts every
right answer.
"""

from __future__ import annotations

from agents.answers.checkers.check import CheckResult, ExactChecker, too_long
from agents.types import Question


class FamilyChecker:
    """Asks the question's family; without a family, compares with the gold answer."""

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns the family's judgement of `answer`."""
        from agents.families import recognise_question

        if not answer.strip():
            return CheckResult("no_answer", "the answer is empty")
        if (long := too_long(answer)) is not None:
            return long
        problem = recognise_question(question.text)
        if problem is None:
            return await ExactChecker("math").check(question, answer)
        if problem.is_correct(answer):
            return CheckResult("correct", f"{problem.family}: the answer fulfils the question")
        return CheckResult("wrong", f"{problem.family}: one right answer is {problem.answer!r}")

    async def close(self) -> None:
        """Has nothing to end."""
