"""Is this answer right? One protocol, one implementation per way of knowing it; every
one of them is exact or says that it is not sure.

Nothing here guesses: a check that was killed or failed has `correct is None` with a
typed outcome, so that an evaluation counts it and a reward function refuses it, and
neither takes it for a wrong answer. Checkers start their processes at the first check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from agents.answers.values.canonical import AnswerKind, canonical_form
from agents.answers.values.compare import asks_percentage, equal_answers
from agents.answers.values.spelling import LONGEST_ANSWER
from agents.types import Question

CheckOutcome = Literal["correct", "wrong", "no_answer", "no_gold", "timed_out", "failed"]
"""`no_answer`: there is none, or it is empty; it counts as wrong. `no_gold`: the right
answer is not known. `timed_out`: the check was killed at its time limit. `failed`: the
checker itself broke."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a checker found."""

    outcome: CheckOutcome
    reason: str

    @property
    def correct(self) -> bool | None:
        """True or False where the checker is sure, None where it does not know; None is
        never to be counted as correct.
        """
        return {"correct": True, "wrong": False, "no_answer": False}.get(self.outcome)


@runtime_checkable
class AnswerChecker(Protocol):
    """Compares an answer (what `final_answer` gave, without its mark) with what is
    known of the question.

    Laws: the gold answer itself is correct; an empty answer is `no_answer`; `check`
    never raises for any text, and the same check gives the same result. Checks may run
    concurrently, and from any event loop.
    """

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` is right, and why."""
        ...

    async def close(self) -> None:
        """Ends the checker's processes, if it has any. Idempotent."""
        ...


class ExactChecker:
    """Correct is what equals the gold answer without algebra."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether both answers are equal; where only algebra could decide, they
        are not.
        """
        return compare_exactly(question, answer, self.kind) or CheckResult(
            "wrong", _difference(question, answer, self.kind)
        )

    async def close(self) -> None:
        """Has nothing to end."""


def compare_exactly(question: Question, answer: str, kind: AnswerKind) -> CheckResult | None:
    """Returns the result of comparing with the gold answer without algebra; None where
    only algebra can decide.
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
    """Returns the result for an answer that is longer than any final answer, None for a
    shorter one.
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
