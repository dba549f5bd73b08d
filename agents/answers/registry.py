"""One table of all tasks: the kind of their answers (for counting votes) and the
checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agents.answers.checkers.check import AnswerChecker, CheckResult, ExactChecker
from agents.answers.checkers.family_checker import FamilyChecker
from agents.answers.checkers.gym_checker import GymChecker
from agents.answers.checkers.math_checker import MathChecker
from agents.answers.checkers.own_checker import OwnChecker
from agents.answers.values.canonical import AnswerKind, canonical_form
from agents.types import Question


@dataclass(frozen=True, slots=True)
class TaskAnswers:
    """The kind of a task's answers, and their checker."""

    kind: AnswerKind
    checker: Callable[[], AnswerChecker]


TASK_ANSWERS: dict[str, TaskAnswers] = {
    "gsm8k": TaskAnswers("number", partial(MathChecker, "number")),
    "svamp": TaskAnswers("number", partial(ExactChecker, "number")),
    "multiarith": TaskAnswers("number", partial(ExactChecker, "number")),
    "math500": TaskAnswers("math", MathChecker),
    "jsonl": TaskAnswers("math", MathChecker),
    "csv": TaskAnswers("math", MathChecker),
    "text": TaskAnswers("math", MathChecker),
    "pocket": TaskAnswers("math", FamilyChecker),
    "user": TaskAnswers("math", FamilyChecker),
    "reasoning_gym": TaskAnswers("text", GymChecker),
    "custom": TaskAnswers("math", MathChecker),
    "custom_number": TaskAnswers("number", partial(MathChecker, "number")),
    "custom_text": TaskAnswers("text", partial(ExactChecker, "text")),
}
"""Task name -> its answers. The last three belong to `task=custom`, one for each kind
of answer."""

TASK_KINDS: dict[str, AnswerKind] = {task: answers.kind for task, answers in TASK_ANSWERS.items()}
"""Task name -> kind of its answers."""


def canonical(answer: str, task: str) -> str:
    """Returns the canonical form of an answer; `canonical(canonical(a, t), t) ==
    canonical(a, t)`.

    Raises:
        ValueError: `task` is in no table.
    """
    return canonical_form(answer, _answers_of(task).kind)


def checker_for(task: str) -> AnswerChecker:
    """Returns a new checker for the answers of a task; the caller closes it.

    Raises:
        ValueError: `task` is in no table.
    """
    return _answers_of(task).checker()


class Checkers:
    """The checkers of all tasks, each created at its first check."""

    def __init__(self, own: str | None = None) -> None:
        """`own`: package.module:name of a checker that replaces those of the table
        (`task.checker`).

        Raises:
            ValueError: `own` names no function.
        """
        self._own = None if own is None else OwnChecker(own)
        self._made: dict[str, AnswerChecker] = {}

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns whether `answer` is right, by the checker of the question's task."""
        if self._own is not None:
            return await self._own.check(question, answer)
        if question.task not in self._made:
            self._made[question.task] = checker_for(question.task)
        return await self._made[question.task].check(question, answer)

    async def close(self) -> None:
        """Ends the processes of all checkers. Idempotent."""
        for checker in self._made.values():
            await checker.close()
        self._made.clear()


def _answers_of(task: str) -> TaskAnswers:
    if task not in TASK_ANSWERS:
        known = ", ".join(TASK_ANSWERS)
        raise ValueError(
            f"task {task!r} is unknown; choose one of {known}, or add it to {__name__}.TASK_ANSWERS"
        )
    return TASK_ANSWERS[task]
