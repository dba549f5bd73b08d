"""Checkers of your own."""

from __future__ import annotations

from agents.types import Question


def same_last_digit(question: Question, answer: str) -> bool:
    """Accepts every answer with the last digit of the gold."""
    return question.gold is not None and answer[-1:] == question.gold[-1:]


def always(question: Question, answer: str) -> bool:
    return True


async def never(question: Question, answer: str) -> bool:
    return False


def broken(question: Question, answer: str) -> bool:
    raise KeyError("no such thing")


def undecided(question: Question, answer: str) -> str:
    return "perhaps"


def exhausted(question: Question, answer: str) -> bool:
    return next(iter([]))


def exits(question: Question, answer: str) -> bool:
    raise SystemExit("at once")
