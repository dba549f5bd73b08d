"""The part of a conversation that fits the model's context."""

from __future__ import annotations

from agents.prompts import Prompts
from agents.types import Question


def fit_history(question: Question, prompts: Prompts, context_length: int, room: int) -> Question:
    """Returns the question with the latest turns of its history that leave `room`
    tokens for the answer, at most half of the context; the oldest ones are dropped.
    Without a conversation (`Prompts.takes_history`) all are.
    """
    history, longest = question.history, context_length - min(room, context_length // 2)
    starts = [index for index, turn in enumerate(history) if turn.role == "user"]

    def fits(first: int) -> bool:
        kept = question.model_copy(update={"history": history[first:]})
        return len(prompts.policy(kept)) <= longest

    if not history or (prompts.takes_history and fits(0)):
        return question
    low, high = (0, len(starts)) if prompts.takes_history else (len(starts), len(starts))
    while low < high:  # the first start that fits; a later one fits, too
        middle = (low + high) // 2
        low, high = (low, middle) if fits(starts[middle]) else (middle + 1, high)
    first = starts[low] if low < len(starts) else len(history)
    return question.model_copy(update={"history": history[first:]})
