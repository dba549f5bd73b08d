"""Answers: reading them off a model's text, comparing them, and checking them exactly."""

from agents.answers.canonical import AnswerKind, canonical_form, read_number
from agents.answers.check import AnswerChecker, CheckOutcome, CheckResult, ExactChecker
from agents.answers.family_checker import FamilyChecker
from agents.answers.final_answer import MarkedAnswer, final_answer, marked_answer, whole_reply
from agents.answers.gym_checker import GymChecker
from agents.answers.math_checker import MathChecker
from agents.answers.pool import CallFailedError, CallTimedOutError, ProcessPool
from agents.answers.registry import TASK_ANSWERS, TASK_KINDS, TaskAnswers, canonical, checker_for
from agents.answers.think_blocks import ends_in_think_block, opens_think_block, without_think_blocks

__all__ = [
    "TASK_ANSWERS",
    "TASK_KINDS",
    "AnswerChecker",
    "AnswerKind",
    "CallFailedError",
    "CallTimedOutError",
    "CheckOutcome",
    "CheckResult",
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
    "whole_reply",
    "without_think_blocks",
]
