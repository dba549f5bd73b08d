"""Checks mathematical answers: equal canonical forms are correct at once, everything else is asked of math-verify, which can be killed.

GSM8K's golds are plain numbers, so a model's phrase is read for its only number there ("$18 every day"); a gold with LaTeX is
compared as LaTeX. Words ("east") are compared as words.
"""

from __future__ import annotations

from agents.answers.canonical import LONGEST_ANSWER, canonical_form, is_words, read_number
from agents.answers.check import CheckResult, compare_canonical
from agents.answers.pool import CallFailedError, CallTimedOutError, ProcessPool
from agents.nouns import Question


class MathChecker:
    """Checks with math-verify in `size` child processes, each check within `timeout_s` seconds."""

    def __init__(self, *, size: int = 2, timeout_s: float = 5.0, function: str = "agents.answers.math_worker:equivalent") -> None:
        self.pool = ProcessPool(function, size=size, timeout_s=timeout_s)

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` is mathematically equal to the gold answer."""
        gold = question.gold
        is_number = gold is not None and read_number(gold, "math") is not None
        result = compare_canonical(gold, answer, "number" if is_number else "math")
        if gold is None or result.correct or not answer.strip():
            return result
        if len(answer) > LONGEST_ANSWER:
            return CheckResult("wrong", f"the answer is longer than {LONGEST_ANSWER} characters")
        if is_words(gold) or (is_number and is_words(answer) and read_number(answer, "number") is None):
            same = canonical_form(gold, "math").casefold() == canonical_form(answer, "math").casefold()
            return CheckResult("correct" if same else "wrong", result.reason)
        expressions = [_expression(text, is_number) for text in (gold, answer)]
        try:
            equal = await self.pool.call(*expressions)
        except CallTimedOutError as error:
            return CheckResult("timed_out", f"math-verify was {error}")
        except CallFailedError as error:
            return CheckResult("failed", f"math-verify failed: {error}")
        return CheckResult("correct", "math-verify: equal to the gold answer") if equal else result

    async def close(self) -> None:
        """Ends the child processes. Idempotent."""
        await self.pool.close()


def _expression(text: str, is_number: bool) -> str:
    """Returns what math-verify is given: one number where there is one, otherwise the tidied LaTeX."""
    number = read_number(text, "number" if is_number else "math")
    form = canonical_form(text, "math") if number is None else canonical_form(text, "number" if is_number else "math")
    return form.replace("%", "\\%")
