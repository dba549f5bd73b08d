"""A user-defined checker: a function of the question and the answer.

    def right(question: Question, answer: str) -> bool: ...

Named as `task.checker=package.module:right`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging

from agents.answers.checkers.check import CheckResult
from agents.objects import load_object
from agents.types import Question

OPTION = "task.checker"
_log = logging.getLogger(__name__)


class OwnChecker:
    """Calls a user-defined function, in a thread if it is not a coroutine function.

    An exception, or a result other than True and False, gives the outcome `failed` with
    the reason: the answer is counted as unchecked, never as wrong.
    """

    def __init__(self, name: str) -> None:
        """Raises ValueError where `name` names no function."""
        self.name = name
        self._has_failed = False
        self._function = load_object(name, OPTION)
        if not callable(self._function):
            raise ValueError(
                f"{OPTION} ({name}) must be a function of a question and an answer, and is a "
                f"{type(self._function).__name__}"
            )

    async def check(self, question: Question, answer: str) -> CheckResult:
        """Returns the result of the function; `no_answer` for an empty answer."""
        if not answer.strip():
            return CheckResult("no_answer", "the answer is empty")
        try:
            if inspect.iscoroutinefunction(self._function):
                is_right = await self._function(question, answer)
            else:
                is_right = await asyncio.to_thread(self._call, question, answer)
        except (Exception, SystemExit) as error:
            return self._failed(f"{self.name} raised {type(error).__name__}: {error}")
        if not isinstance(is_right, bool):
            return self._failed(
                f"{self.name} must return True or False, and returned {is_right!r:.80}"
            )
        return CheckResult("correct" if is_right else "wrong", f"by {self.name}")

    def _failed(self, reason: str) -> CheckResult:
        """Returns the outcome `failed`, and logs the first reason."""
        if not self._has_failed:
            self._has_failed = True
            _log.warning("%s (%s): %s; the answer is not checked", OPTION, self.name, reason)
        return CheckResult("failed", reason)

    def _call(self, question: Question, answer: str) -> object:
        """Calls the function in a thread; a future cannot carry StopIteration."""
        try:
            return self._function(question, answer)
        except StopIteration as error:
            raise RuntimeError("StopIteration: next() of an exhausted iterator") from error

    async def close(self) -> None:
        """Has no process to end."""
