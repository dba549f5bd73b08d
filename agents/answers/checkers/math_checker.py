"""Checks mathematical answers: by exact comparison if that decides, else by algebra in
a child process that can be killed.
"""

from __future__ import annotations

from agents.answers.checkers.check import CheckResult, compare_exactly
from agents.answers.checkers.pool import CallFailedError, CallTimedOutError, ProcessPool
from agents.answers.values.canonical import AnswerKind
from agents.answers.values.compare import asks_percentage
from agents.types import Question


class MathChecker:
    """Compares answers of `kind`; algebra runs in `size` child processes, each check
    within `timeout_s` seconds.
    """

    def __init__(
        self,
        kind: AnswerKind = "math",
        *,
        size: int = 2,
        timeout_s: float = 5.0,
        function: str = "agents.answers.checkers.math_worker:equivalent",
    ) -> None:
        self.kind = kind
        self.pool = ProcessPool(function, size=size, timeout_s=timeout_s)

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` equals the gold answer."""
        result = compare_exactly(question, answer, self.kind)
        if result is not None:
            return result
        percent = asks_percentage(question.text)
        try:
            equal = await self.pool.call(question.gold, answer, self.kind, percent)
        except CallTimedOutError as error:
            return CheckResult("timed_out", f"the algebra was {error}")
        except CallFailedError as error:
            return CheckResult("failed", f"the algebra failed: {error}")
        if equal:
            return CheckResult("correct", "equal to the gold answer")
        return CheckResult("wrong", "not equal to the gold answer")

    async def close(self) -> None:
        """Ends the child processes. Idempotent."""
        await self.pool.close()
