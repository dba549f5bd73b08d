"""The interface of task families: a family generates problems, recognises questions,
and judges every step of a solution exactly.

Families are the ground truth of the pocket model: its training documents, the labels of
its critic and the accuracy of its answers. So everything in this folder is exact, and
nothing needs torch.

Two scopes of truth (see `StepTruth`): a step is *right* if it follows from the question
and the steps before it, even after an earlier mistake; it is *solvable* if a right
answer can still be reached. A critic's verdict means `right` in most families ("local")
and `right and solvable` in Countdown ("value"), where a legal step can lead to a dead
end.
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
    """The exact labels of one step."""

    right: bool
    """The step follows from the question and the steps before it, even if those are
    wrong."""
    solvable: bool
    """A right answer can still be reached after this step."""


def read_answer(step: str) -> str | None:
    """Returns the text after "Answer:" in a concluding step, None for other steps."""
    text = step.strip()
    return text[len(ANSWER_PREFIX) :].strip() if text.startswith(ANSWER_PREFIX) else None


def read_whole_number(text: str) -> int | None:
    """Returns the integer in `text` ("57", "-4", "- 4", "1,250"), None for any other
    text.
    """
    compact = text.strip().rstrip(".").replace(" ", "")
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+", compact):
        compact = compact.replace(",", "")
    return int(compact) if re.fullmatch(r"-?\d{1,12}", compact) else None


@dataclass(frozen=True)
class Problem(ABC):
    """One question of a family, with its exact checker. Subclasses add the question's
    content as fields.
    """

    family: str
    """Name of the family, a key of `agents.families.FAMILIES`."""
    level: int
    """Difficulty, defined by the family."""
    text: str
    """The canonical wording, which the pocket model is trained on and needs in its
    prompt."""
    answer: str
    """One right answer, in canonical form."""

    scope: ClassVar[Scope] = "local"

    @abstractmethod
    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        """Returns a right step after `prefix_steps` (right or wrong), or None at a dead
        end or after an answer.
        """

    @abstractmethod
    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        """Returns the labels of all steps, in order; an unreadable step is wrong."""

    @abstractmethod
    def is_correct(self, answer_text: str) -> bool:
        """Whether a text (without "Answer:") is a right answer; there is no partial
        credit.
        """

    @abstractmethod
    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """Returns a plausible step after `prefix_steps`, usually wrong but possibly
        right.
        """

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """Returns the computation that a critic writes before its verdict on `step`, or
        "".

        It recomputes what the step claims and does not contain the verdict.
        """
        return ""

    def verdict(self, truth: StepTruth) -> bool:
        """Returns the right verdict on a step: `right`, in families of value scope
        `right and solvable`.
        """
        return truth.right and (truth.solvable or self.scope == "local")

    def solution(self, rng: random.Random) -> list[str]:
        """Returns the steps of one right solution; the last is "Answer: ..."."""
        steps: list[str] = []
        while (step := self.next_step(rng, steps)) is not None:
            steps.append(step)
        return steps

    def wrong_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """Returns a near miss whose verdict is wrong.

        Raises:
            RuntimeError: no wrong step was found: the family's `near_miss` has
                a bug.
        """
        for _ in range(_MAX_DRAWS):
            step = self.near_miss(rng, prefix_steps)
            if not self.verdict(self.check_steps([*prefix_steps, step])[-1]):
                return step
        raise RuntimeError(
            f"{self.family}: no wrong step found after {len(prefix_steps)} steps of {self.text!r}"
        )


class Family(ABC):
    """Generates and recognises problems of one kind. `recognise(problem.text)` returns
    an equal problem.
    """

    name: ClassVar[str]
    limits: ClassVar[str]
    """The subject of its questions and the range of their numbers, in words for a
    user."""
    levels: ClassVar[tuple[int, ...]]
    words: ClassVar[tuple[str, ...]]
    """The tokenizer's vocabulary: all words of the canonical wording and the steps,
    except numbers and punctuation."""

    @abstractmethod
    def generate(self, rng: random.Random, level: int) -> Problem:
        """Returns a random problem of `level`."""

    @abstractmethod
    def recognise(self, text: str) -> Problem | None:
        """Returns the problem that `text` states in any known wording; None if it
        matches no level of this family.
        """

    def check_level(self, level: int) -> None:
        """Raises ValueError when the family has no such level."""
        if level not in self.levels:
            raise ValueError(
                f"{self.name}: level {level} does not exist; choose one of "
                f"{', '.join(map(str, self.levels))}"
            )
