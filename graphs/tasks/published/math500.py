"""MATH-500: the 500 problems of the MATH test set (Hendrycks et al., arXiv:2103.03874)
that Lightman et al. (arXiv:2305.20050) held out.

Competition mathematics at levels 1 to 5; answers are LaTeX, compared by math-verify.
The family of a question is its subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphs.tasks.published.published import PublishedTask, Row, gold_in
from graphs.tasks.rows import text_of


@dataclass(frozen=True)
class Math500Task(PublishedTask):
    """MATH-500: fields problem and answer, and optionally solution, subject and
    level.
    """

    name = "math500"
    title = "MATH-500"
    hub = ("HuggingFaceH4/MATH-500",)
    levels: tuple[int, ...] = ()
    """Levels from 1 to 5; empty: all."""

    def keeps(self, row: Row) -> bool:
        """Whether the question is of one of the levels."""
        return not self.levels or row.metadata.get("level") in self.levels

    def read(self, row: dict[str, Any]) -> Row:
        kept = {"subject": "family", "level": "level", "solution": "solution"}
        metadata = {name: row[field] for field, name in kept.items() if field in row}
        return Row(text_of(row, "problem"), gold_in(row, "answer"), metadata)
