"""Greedy accuracy of the policy alone on held-out questions, kept question by question so that two policies can be paired."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.roles.policy import Policy
from agents.types import Question
from graphs.evaluation.intervals import Proportion
from graphs.tasks import split_of_question
from training.data.rollouts import Check, roll_out


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one policy came to on a list of questions."""

    question_hashes: tuple[str, ...]
    correct: tuple[bool, ...]
    """Whether each question was answered right; an answer that the checker could not judge counts as wrong, and in `unchecked`."""
    groups: tuple[str, ...]
    """Family of each question, or its task."""
    unchecked: int
    answered: int
    """Questions with a marked answer, right or wrong."""
    generated_tokens: int
    seconds: float

    @property
    def accuracy(self) -> Proportion:
        """Share of right answers."""
        return Proportion(sum(self.correct), len(self.correct))

    def by_group(self) -> dict[str, Proportion]:
        """Returns the accuracy of each group."""
        pairs = list(zip(self.groups, self.correct, strict=True))
        names = sorted(set(self.groups))
        return {name: Proportion(sum(c for g, c in pairs if g == name), sum(g == name for g, _ in pairs)) for name in names}

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; `from_json` is the inverse."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Returns the evaluation that `as_json` wrote."""
        plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**plain)


async def evaluate(
    policy: Policy,
    check: Check,
    questions: Sequence[Question],
    *,
    max_tokens: int,
    concurrency: int = 64,
    on_done: Callable[[], None] | None = None,
) -> Evaluation:
    """Asks every question once, greedily, and returns what was right.

    Raises:
        ValueError: a question has no gold answer, or belongs to the train split.
    """
    for question in questions:
        if question.gold is None:
            raise ValueError(f"question {question.hash} has no gold answer, so nothing can be measured on it; choose another task")
        if split_of_question(question) == "train":
            raise ValueError(f"question {question.hash} belongs to the train split and measures nothing; set task.split=test")
    start = time.monotonic()
    found = await roll_out(policy, check, questions, n=1, temperature=0.0, max_tokens=max_tokens, concurrency=concurrency, on_done=on_done)
    rollouts = [group[0] for group in found]
    return Evaluation(
        question_hashes=tuple(question.hash for question in questions),
        correct=tuple(rollout.correct is True for rollout in rollouts),
        groups=tuple(str(question.metadata.get("family", question.task)) for question in questions),
        unchecked=sum(rollout.correct is None for rollout in rollouts),
        answered=sum(rollout.answer is not None for rollout in rollouts),
        generated_tokens=sum(len(rollout.completion.token_ids) for rollout in rollouts),
        seconds=time.monotonic() - start,
    )
