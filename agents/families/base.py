"""What a task family is: it makes problems, recognises questions, and judges every step
of a solution exactly.

A family is the ground truth of the pocket model: its training documents, the labels of
its critic and the accuracy of its answers all come from here, so nothing in this folder
estimates anything and nothing needs torch.

Two scopes of truth (see `StepTruth`): a step is *right* when it follows from the
question and the steps as they stand before it, even below an earlier mistake; it is
*solvable* when a right end can still be reached. The verdict that a critic is asked for
is `right` in most families ("local") and `right and alive` in Countdown ("value"),
where a legal step can lead to a dead end.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Scope = Literal["local", "value"]

ANSWER_PREFIX = "Answer:"
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class StepTruth:
    """What an exact checker knows of one step."""

    right: bool
    """The step follows from the question and the steps before it, taken as they
    stand."""
    solvable: bool
    """A right answer can still be reached after this step."""


def read_answer(step: str) -> str | None:
    """Returns what follows "Answer:" in a concluding step, or None when the step
    concludes nothing.
    """
    text = step.strip()
    return text[len(ANSWER_PREFIX) :].strip() if text.startswith(ANSWER_PREFIX) else None


def read_whole_number(text: str) -> int | None:
    """Returns the integer that `text` writes ("57", "-4", "- 4", "1,250"), or None when
    it writes anything else.
    """
    compact = text.strip().rstrip(".").replace(" ", "")
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+", compact):
        compact = compact.replace(",", "")
    return int(compact) if re.fullmatch(r"-?\d{1,12}", compact) else None


@dataclass(frozen=True)
class Problem(ABC):
    """One question of a family, with its exact checker. A subclass adds the question's
    content as fields.
    """

    family: str
    """Name of the family, a key of `agents.families.FAMILIES`."""
    level: int
    """Difficulty; the meaning is the family's."""
    text: str
    """The canonical wording: what the pocket model is trained on and must be asked
    with."""
    answer: str
    """One right answer, in canonical form."""

    scope: ClassVar[Scope] = "local"

    @abstractmethod
    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        """Returns a right step after `prefix_steps` as they stand, or None when there
        is none (a dead end, or answered).
        """

    @abstractmethod
    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        """Returns the truth of every step, in order; a step that cannot be read is
        wrong.
        """

    @abstractmethod
    def is_correct(self, answer_text: str) -> bool:
        """Whether a text (without "Answer:") is exactly a right answer; partial credit
        does not exist.
        """

    @abstractmethod
    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """Returns a step that looks plausible after `prefix_steps`; it may happen to be
        right.
        """

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """Returns the forward computation that a critic writes before its verdict on
        `step`, "" where there is none.

        It recomputes what the step claims, and never contains the verdict itself.
        """
        return ""

    def verdict(self, truth: StepTruth) -> bool:
        """Returns what a critic should say of a step: its `right`, and in families of
        value scope also its `solvable`.
        """
        return truth.right and (truth.solvable or self.scope == "local")

    def solution(self, rng: random.Random) -> list[str]:
        """Returns the step texts of one right solution; the last is "Answer: ..."."""
        steps: list[str] = []
        while (step := self.next_step(rng, steps)) is not None:
            steps.append(step)
        return steps

    def wrong_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """Returns a near miss whose verdict is wrong.

        Raises:
            RuntimeError: no wrong step was found, which means that the family's
                `near_miss` is broken.
        """
        for _ in range(_MAX_DRAWS):
            step = self.near_miss(rng, prefix_steps)
            if not self.verdict(self.check_steps([*prefix_steps, step])[-1]):
                return step
        raise RuntimeError(
            f"{self.family}: no wrong step found after {len(prefix_steps)} steps of {self.text!r}"
        )


class Family(ABC):
    """A source of problems of one kind. `recognise(problem.text)` gives back an equal
    problem.
    """

    name: ClassVar[str]
    limits: ClassVar[str]
    """What its questions are about and how large their numbers are, in words for a
    user."""
    levels: ClassVar[tuple[int, ...]]
    words: ClassVar[tuple[str, ...]]
    """Every word of the canonical wording and the steps that is neither a number nor
    punctuation: the tokenizer's vocabulary."""

    @abstractmethod
    def generate(self, rng: random.Random, level: int) -> Problem:
        """Returns a random problem of `level`."""

    @abstractmethod
    def recognise(self, text: str) -> Problem | None:
        """Returns the problem that `text` asks in any wording that this family knows,
        None when it is not one of its levels.
        """

    def check_level(self, level: int) -> None:
        """Raises ValueError when the family has no such level."""
        if level not in self.levels:
            raise ValueError(
                f"{self.name}: level {level} does not exist; choose one of "
                f"{', '.join(map(str, self.levels))}"
            )
