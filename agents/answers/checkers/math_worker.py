"""Runs in the math checker's child processes: mpmath, math-verify and sympy, which may
hang.

math-verify's own time limits are switched off: they are alarm signals, which do not
stop C code or code that catches the exception. The pool kills the process instead.
"""

from __future__ import annotations

import logging

import math_verify  # noqa: F401  # loaded before the first call, whose time is limited

from agents.answers.values.algebra import equal_mathematics
from agents.answers.values.canonical import AnswerKind
from agents.answers.values.compare import equal_answers

logging.disable(logging.CRITICAL)


def equivalent(gold: str, answer: str, kind: AnswerKind, percent: bool) -> bool:
    """Returns whether two answers are equal, algebra included (see `equal_answers`)."""
    return equal_answers(gold, answer, kind, percent=percent, algebra=equal_mathematics) is True
