"""A reward of one's own."""

from __future__ import annotations

from agents.types import Question
from training.data.rollouts import Rollout


def shorter_is_better(question: Question, rollout: Rollout) -> float | None:
    """Returns minus the tokens of the completion; None if the checker does not know
    whether the answer is right.
    """
    return None if rollout.correct is None else -float(len(rollout.completion.token_ids))
