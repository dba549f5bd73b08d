"""Generated problems of the pocket model's families.

A question's hash determines its split, so test questions are never training questions,
whatever the seeds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from agents.types import Question, Split, split_of
from graphs.tasks.base import TaskData, check_slice, check_split
from graphs.tasks.generated import fill_split


@dataclass(frozen=True)
class PocketTask:
    """Problems of `families` at `levels`, in equal parts."""

    split: Split = "test"
    size: int = 500
    seed: int = 0
    families: tuple[str, ...] = ()
    """Empty: all families."""
    levels: tuple[int, ...] = ()
    """Empty: all levels. A family is generated at those levels that it has."""
    limit: int | None = None
    offset: int = 0
    name: ClassVar[str] = "pocket"

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        check_split(self.split)

    def load(self) -> TaskData:
        """Returns the generated questions."""
        from agents.families import FAMILIES

        sources: list[tuple[str, Iterator[Question]]] = []
        for name in self.families or tuple(FAMILIES):
            if name not in FAMILIES:
                raise ValueError(
                    f"task.families: {name!r} is not a family; choose from {', '.join(FAMILIES)}"
                )
            has = FAMILIES[name].levels
            levels = [level for level in self.levels if level in has] if self.levels else list(has)
            if not levels:
                raise ValueError(
                    f"task.levels {list(self.levels)} holds no level of {name}; it has "
                    f"{', '.join(map(str, has))}"
                )
            sources.append((f"family {name}", self._problems(name, levels)))
        # generated wording is canonical; recognising a question takes four times as
        # long as generating it
        return fill_split(
            sources,
            split=self.split,
            size=self.size,
            offset=self.offset,
            limit=self.limit,
            split_of=split_of,
        )

    def _problems(self, name: str, levels: list[int]) -> Iterator[Question]:
        """Yields problems of one family without end, at levels drawn uniformly.

        Levels are drawn, not taken in turn: the split then keeps equal parts on
        average.
        """
        from agents.families import FAMILIES

        family = FAMILIES[name]
        rng = random.Random(f"pocket/{self.seed}/{name}/{levels}")
        while True:
            problem = family.generate(rng, rng.choice(levels))
            metadata = {"family": problem.family, "level": problem.level, "split": self.split}
            yield Question(
                text=problem.text, gold=problem.answer, task=self.name, metadata=metadata
            )
