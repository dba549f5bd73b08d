"""The protocol of answer checkers, and the checker that compares with the gold answer.
Every checker is exact or reports that it does not know.

A check that was killed or failed has `correct is None` and a typed outcome: an
evaluation counts it separately and a reward function rejects it; neither treats it as a
wrong answer. Checkers start their processes at the first check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from agents.answers.values.canonical import AnswerKind, canonical_form
from agents.answers.values.compare import asks_percentage, equal_answers
from agents.answers.values.spelling import LONGEST_ANSWER
from agents.types import Question

CheckOutcome = Literal["correct", "wrong", "no_answer", "no_gold", "timed_out", "failed"]
"""`no_answer`: missing or empty; counts as wrong. `no_gold`: the right answer is
unknown. `timed_out`: the check was killed at its time limit. `failed`: the checker
raised an error."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check."""

    outcome: CheckOutcome
    reason: str

    @property
    def correct(self) -> bool | None:
        """True or False, or None if the checker does not know. None must never count as
        correct.
        """
        return {"correct": True, "wrong": False, "no_answer": False}.get(self.outcome)


@runtime_checkable
class AnswerChecker(Protocol):
    """Checks an answer (a result of `final_answer`, without its mark) to a question.

    Laws: the gold answer is correct; an empty answer is `no_answer`; `check` raises for
    no text and is deterministic. Checks may run concurrently and from any event loop.
    """

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` is right, and why."""
        ...

    async def close(self) -> None:
        """Ends the checker's processes, if it has any. Idempotent."""
        ...


class ExactChecker:
    """Compares with the gold answer without algebra."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether both answers are equal; "wrong" if only algebra could
        decide.
        """
        return compare_exactly(question, answer, self.kind) or CheckResult(
            "wrong", _difference(question, answer, self.kind)
        )

    async def close(self) -> None:
        """Has nothing to end."""


def compare_exactly(question: Question, answer: str, kind: AnswerKind) -> CheckResult | None:
    """Compares with the gold answer without algebra. Returns None if only algebra can
    decide.
    """
    if not answer.strip():
        return CheckResult("no_answer", "the answer is empty")
    if question.gold is None:
        return CheckResult("no_gold", "the question has no gold answer")
    equal = equal_answers(question.gold, answer, kind, percent=asks_percentage(question.text))
    if equal:
        return CheckResult("correct", f"{_short(canonical_form(answer, kind))} is the gold answer")
    return None if equal is None else CheckResult("wrong", _difference(question, answer, kind))


def too_long(answer: str) -> CheckResult | None:
    """Returns "wrong" for an answer of more than `LONGEST_ANSWER` characters, else
    None.
    """
    if len(answer) <= LONGEST_ANSWER:
        return None
    return CheckResult("wrong", f"the answer is longer than {LONGEST_ANSWER} characters")


def _difference(question: Question, answer: str, kind: AnswerKind) -> str:
    return (
        f"{_short(canonical_form(answer, kind))} is not "
        f"{_short(canonical_form(question.gold or '', kind))}"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
