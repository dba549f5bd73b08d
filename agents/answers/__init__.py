"""Answers: extracting them from a model's text, comparing them, and checking them
exactly.
"""

from agents.answers.checkers.check import AnswerChecker, CheckOutcome, CheckResult, ExactChecker
from agents.answers.checkers.family_checker import FamilyChecker
from agents.answers.checkers.gym_checker import GymChecker
from agents.answers.checkers.math_checker import MathChecker
from agents.answers.checkers.pool import CallFailedError, CallTimedOutError, ProcessPool
from agents.answers.extraction.final_answer import (
    MarkedAnswer,
    final_answer,
    marked_answer,
    whole_reply,
)
from agents.answers.extraction.think_blocks import (
    ends_in_think_block,
    opens_think_block,
    think_tags,
    without_think_blocks,
)
from agents.answers.registry import (
    TASK_ANSWERS,
    TASK_KINDS,
    Checkers,
    TaskAnswers,
    canonical,
    checker_for,
)
from agents.answers.values.canonical import AnswerKind, canonical_form, read_number

__all__ = [
    "TASK_ANSWERS",
    "TASK_KINDS",
    "AnswerChecker",
    "AnswerKind",
    "CallFailedError",
    "CallTimedOutError",
    "CheckOutcome",
    "CheckResult",
    "Checkers",
    "ExactChecker",
    "FamilyChecker",
    "GymChecker",
    "MarkedAnswer",
    "MathChecker",
    "ProcessPool",
    "TaskAnswers",
    "canonical",
    "canonical_form",
    "checker_for",
    "ends_in_think_block",
    "final_answer",
    "marked_answer",
    "opens_think_block",
    "read_number",
    "think_tags",
    "whole_reply",
    "without_think_blocks",
]
