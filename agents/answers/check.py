"""Is this answer right? One protocol, one implementation per way of knowing it; every one of them is exact or says that it is not sure.

Nothing here guesses: a check that was killed or failed has `correct is None` with a typed outcome, so that an evaluation counts it and a
reward function refuses it, and neither takes it for a wrong answer. Checkers start their processes at the first check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, runtime_checkable

from agents.answers.canonical import AnswerKind, canonical_form
from agents.nouns import Question

CheckOutcome = Literal["correct", "wrong", "no_gold", "timed_out", "failed"]
"""`no_gold`: nobody knows the right answer. `timed_out`: the check was killed at its time limit. `failed`: the checker itself broke."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a checker found."""

    outcome: CheckOutcome
    reason: str

    @property
    def correct(self) -> bool | None:
        """True or False where the checker is sure, None where it does not know; None is never to be counted as correct."""
        return {"correct": True, "wrong": False}.get(self.outcome)


@runtime_checkable
class AnswerChecker(Protocol):
    """Compares an answer (what `extract_answer` gave, without its mark) with what is known of the question.

    Laws: the gold answer itself is correct; an empty answer is wrong; `check` never raises for any text, and the same check gives the
    same result. Checks may run concurrently, and from any event loop.
    """

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` is right, and why."""
        ...

    async def close(self) -> None:
        """Ends the checker's processes, if it has any. Idempotent."""
        ...


class ExactChecker:
    """Correct is what has the gold answer's canonical form."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether both canonical forms are equal."""
        return compare_canonical(question.gold, answer, self.kind)

    async def close(self) -> None:
        """Has nothing to end."""


def compare_canonical(gold: str | None, answer: str, kind: AnswerKind) -> CheckResult:
    """Returns the result of comparing canonical forms alone."""
    if not answer.strip():
        return CheckResult("wrong", "the answer is empty")
    if gold is None:
        return CheckResult("no_gold", "the question has no gold answer")
    expected, given = canonical_form(gold, kind), canonical_form(answer, kind)
    if expected == given:
        return CheckResult("correct", f"{given!r} is the gold answer")
    return CheckResult("wrong", f"{_short(given)} is not {_short(expected)}")


def checker_for(task: str) -> AnswerChecker:
    """Returns a new checker for the answers of a task; whoever asks for it closes it.

    Raises:
        ValueError: no checker is known for `task`.
    """
    # Imported here, because each of these modules imports this one.
    from agents.answers.family_checker import FamilyChecker
    from agents.answers.gym_checker import GymChecker
    from agents.answers.math_checker import MathChecker

    checkers: dict[str, Callable[[], AnswerChecker]] = {
        "gsm8k": MathChecker,
        "svamp": partial(ExactChecker, "number"),
        "multiarith": partial(ExactChecker, "number"),
        "math500": MathChecker,
        "jsonl": MathChecker,
        "csv": MathChecker,
        "text": MathChecker,
        "pocket": FamilyChecker,
        "user": FamilyChecker,
        "reasoning_gym": GymChecker,
    }
    if task not in checkers:
        raise ValueError(f"task {task!r} has no answer checker; choose one of {', '.join(checkers)}, or add one to checker_for")
    return checkers[task]()


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
