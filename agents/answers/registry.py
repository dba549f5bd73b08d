"""Every task's answers in one table: their kind, by which votes are counted, and their
checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agents.answers.checkers.check import AnswerChecker, ExactChecker
from agents.answers.checkers.family_checker import FamilyChecker
from agents.answers.checkers.gym_checker import GymChecker
from agents.answers.checkers.math_checker import MathChecker
from agents.answers.values.canonical import AnswerKind, canonical_form


@dataclass(frozen=True, slots=True)
class TaskAnswers:
    """What the answers of a task are, and how they are checked."""

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
}
"""A new task adds its line here."""

TASK_KINDS: dict[str, AnswerKind] = {task: answers.kind for task, answers in TASK_ANSWERS.items()}
"""What the answers of each task are."""


def canonical(answer: str, task: str) -> str:
    """Returns the canonical form of an answer; `canonical(canonical(a, t), t) ==
    canonical(a, t)`.

    Raises:
        ValueError: `task` is in no table.
    """
    return canonical_form(answer, _known(task).kind)


def checker_for(task: str) -> AnswerChecker:
    """Returns a new checker for the answers of a task; the caller closes it.

    Raises:
        ValueError: `task` is in no table.
    """
    return _known(task).checker()


def _known(task: str) -> TaskAnswers:
    if task not in TASK_ANSWERS:
        known = ", ".join(TASK_ANSWERS)
        raise ValueError(
            f"task {task!r} has no kind of answers and no checker; choose one of {known}, or add "
            f"it to {__name__}.TASK_ANSWERS"
        )
    return TASK_ANSWERS[task]
