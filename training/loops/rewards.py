"""Rewards of rollouts: the outcome reward, or a user's function.

A reward is a number, or None if unknown. A group with an unknown reward is left out,
because any number would be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from agents.objects import load_object
from agents.types import Question
from training.data.rollouts import Rollout

Reward: TypeAlias = Callable[[Question, Rollout], float | None]
"""Returns the reward of a rollout; called from the trainer's thread, so it may be
slow."""


def outcome(question: Question, rollout: Rollout) -> float | None:
    """Returns 1 for a right answer and 0 for a wrong or missing one; None if
    unknown.
    """
    return None if rollout.correct is None else float(rollout.correct)


def reward_of(name: str) -> Reward:
    """Returns the reward that `training.grpo.reward` names.

    Raises:
        ValueError: the name is not that of a function.
    """
    if name == "outcome":
        return outcome
    found = load_object(name, "training.grpo.reward")
    if not callable(found):
        raise ValueError(
            f"training.grpo.reward ({name}) must be a function of a question and a rollout"
        )

    def checked(question: Question, rollout: Rollout) -> float | None:
        reward = found(question, rollout)
        if reward is not None and not (isinstance(reward, int | float) and math.isfinite(reward)):
            raise ValueError(
                f"training.grpo.reward ({name}) returned {reward!r} for question {question.hash}; "
                "return a "
                "finite number, or None where the reward is not known"
            )
        return None if reward is None else float(reward)

    return checked
