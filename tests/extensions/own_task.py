"""A task of your own."""

from __future__ import annotations

from agents.types import Question


class Sums:
    """Sums of two numbers."""

    answers = "number"

    def __init__(self, highest: int = 9) -> None:
        self.highest = highest

    def load(self) -> list[Question]:
        pairs = [(a, b) for a in range(1, self.highest + 1) for b in range(1, a + 1)]
        return [Question(text=f"Compute {a} + {b}.", gold=str(a + b)) for a, b in pairs]
