"""Leg counting, an English word problem. Each step adds one animal to the running total
("3 cow * 4 = 12 ; total 12").
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from agents.families.base import (
    ANSWER_PREFIX,
    Family,
    Problem,
    StepTruth,
    read_answer,
    read_whole_number,
)

LARGEST_COUNT = 15
LEGS: dict[str, int] = {
    **dict.fromkeys(("snake", "sea slug", "jellyfish", "flatworm", "leech"), 0),
    **dict.fromkeys(("chicken", "bird", "human", "duck"), 2),
    **dict.fromkeys(
        ("dog", "cat", "cow", "horse", "lion", "elephant", "giraffe", "tiger", "deer", "sheep"), 4
    ),
    "starfish": 5,
    **dict.fromkeys(
        (
            "insect",
            "ant",
            "butterfly",
            "beetle",
            "bee",
            "wasp",
            "grasshopper",
            "cricket",
            "cockroach",
            "praying mantis",
            "firefly",
        ),
        6,
    ),
    **dict.fromkeys(("spider", "scorpion"), 8),
    **dict.fromkeys(("crab", "lobster", "shrimp"), 10),
    "woodlouse": 14,
}
"""Animal -> legs; the animals of reasoning-gym's leg counting."""

_PLURALS = {
    "butterflies": "butterfly",
    "fireflies": "firefly",
    "wolves": "wolf",
    "woodlice": "woodlouse",
    "mice": "mouse",
    "leeches": "leech",
}
_CANONICAL = re.compile(r"Count the legs: (.+)\.")
_LEGS_WORD = re.compile(r"\blegs\b", re.IGNORECASE)
_LEAD = re.compile(r"(?:if you have|do|have|has|are there on|of|on|:) (.+)", re.IGNORECASE)
_TAIL = re.compile(r"(?: have)?(?: in total| altogether| together)? ?[.?]$", re.IGNORECASE)
_STEP = re.compile(r"(\d{1,12}) ([a-z]+(?: [a-z]+)?) \* (\d{1,12}) = (\d{1,12}) ; total (\d{1,12})")


@dataclass(frozen=True)
class LegsProblem(Problem):
    """Animals with their counts, in the order of the question."""

    animals: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, animals: Sequence[tuple[str, int]]) -> LegsProblem:
        listed = ", ".join(f"{count} {animal}" for animal, count in animals)
        total = sum(count * LEGS[animal] for animal, count in animals)
        level = 1 if len(animals) <= 4 else 2 if len(animals) <= 7 else 3
        return cls("legs", level, f"Count the legs: {listed}.", str(total), tuple(animals))

    def _replay(self, steps: Sequence[str]) -> tuple[list[bool], int, int]:
        """Returns whether each step is right given those before it, the number of
        animals counted, and the stated total.
        """
        rights: list[bool] = []
        done = total = 0
        for step in steps:
            if (answer := read_answer(step)) is not None:
                rights.append(done == len(self.animals) and read_whole_number(answer) == total)
                continue
            match = _STEP.fullmatch(step.strip())
            if match is None or done >= len(self.animals):
                rights.append(False)
            else:
                animal, count = self.animals[done]
                stated = (int(match[1]), match[2], int(match[3]), int(match[4]), int(match[5]))
                rights.append(
                    stated
                    == (
                        count,
                        animal,
                        LEGS[animal],
                        count * LEGS[animal],
                        total + count * LEGS[animal],
                    )
                )
                total = stated[4]
            done += 1
        return rights, done, total

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        if any(read_answer(step) is not None for step in prefix_steps):
            return None
        _, done, total = self._replay(prefix_steps)
        if done >= len(self.animals):
            return f"{ANSWER_PREFIX} {total}"
        animal, count = self.animals[done]
        return _step_text(
            animal, count, LEGS[animal], count * LEGS[animal], total + count * LEGS[animal]
        )

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        rights, _, _ = self._replay(steps)
        return [StepTruth(right, all(rights[: index + 1])) for index, right in enumerate(rights)]

    def is_correct(self, answer_text: str) -> bool:
        return read_whole_number(re.sub(r"\s*legs$", "", answer_text.strip())) == int(self.answer)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        _, done, total = self._replay(prefix_steps)
        slip = rng.choice((-10, -2, -1, 1, 2, 10))
        if done >= len(self.animals):
            return f"{ANSWER_PREFIX} {max(0, total + slip)}"
        animal, count = self.animals[done]
        legs, draw = LEGS[animal], rng.random()
        if draw < 0.2:
            legs = rng.choice((0, 2, 4, 6, 8, 10, 14))
        elif draw < 0.3:
            count = max(1, count + rng.choice((-1, 1)))
        product = count * legs + (slip if 0.3 <= draw < 0.6 else 0)
        return _step_text(
            animal,
            count,
            legs,
            max(0, product),
            max(0, total + product + (slip if draw >= 0.6 else 0)),
        )

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The recomputed product and total: "3 * 4 : 12 40"; for an answer, the last
        total.
        """
        if any(read_answer(earlier) is not None for earlier in prefix_steps):
            return ""
        _, done, total = self._replay(prefix_steps)
        if read_answer(step) is not None:
            return str(total) if done == len(self.animals) else ""
        if done >= len(self.animals):
            return ""
        animal, count = self.animals[done]
        return f"{count} * {LEGS[animal]} : {count * LEGS[animal]} {total + count * LEGS[animal]}"


def _step_text(animal: str, count: int, legs: int, product: int, total: int) -> str:
    return f"{count} {animal} * {legs} = {product} ; total {total}"


def _natural_list(text: str) -> str | None:
    """Returns the list after the last "legs" that one follows: "How many legs do 3 cows
    and 2 spiders have?".
    """
    tail = _TAIL.search(text)
    if tail is None:
        return None
    body = text[: tail.start()]
    ends = [match.end() for match in _LEGS_WORD.finditer(body)]
    return next((lead[1] for end in reversed(ends) if (lead := _LEAD.search(body, end))), None)


def _read_animal(words: str) -> str | None:
    name = words.strip().lower()
    name = _PLURALS.get(name, name)
    for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
        if candidate in LEGS:
            return candidate
    return None


class Legs(Family):
    """Level 1: up to four kinds of animals; level 2: up to seven; level 3: up to
    ten.
    """

    name: ClassVar[str] = "legs"
    limits: ClassVar[str] = f"the legs of at most ten kinds of animals, to {LARGEST_COUNT} each"
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    words: ClassVar[tuple[str, ...]] = (
        "Count",
        "the",
        "legs",
        "total",
        *sorted({word for animal in LEGS for word in animal.split()}),
    )

    def generate(self, rng: random.Random, level: int) -> LegsProblem:
        self.check_level(level)
        num_animals = rng.randint(*{1: (2, 4), 2: (5, 7), 3: (8, 10)}[level])
        return LegsProblem.of(
            [
                (animal, rng.randint(1, LARGEST_COUNT))
                for animal in rng.sample(list(LEGS), num_animals)
            ]
        )

    def recognise(self, text: str) -> LegsProblem | None:
        folded = " ".join(text.split())
        match = _CANONICAL.fullmatch(folded)
        listed = match[1] if match else _natural_list(folded)
        if listed is None:
            return None
        animals: list[tuple[str, int]] = []
        for item in re.split(r", and |, | and ", listed):
            words = re.fullmatch(r"(\d+|an?|one) ([A-Za-z ]+)", item.strip())
            animal = _read_animal(words[2]) if words else None
            if words is None or animal is None:
                return None
            animals.append((animal, int(words[1]) if words[1].isdigit() else 1))
        if (
            not 1 <= len(animals) <= 10
            or len(dict(animals)) != len(animals)
            or not all(1 <= count <= LARGEST_COUNT for _, count in animals)
        ):
            return None
        return LegsProblem.of(animals)
