"""Questions from a text file, one per line; blank lines are skipped. They are not
scored, since the file has no golds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agents.types import Question, Split
from configs.schema.task import TASK_OF_SUFFIX
from graphs.tasks.base import TaskData, check_slice, check_split, read_lines
from graphs.tasks.leakage import split_of_text


@dataclass(frozen=True)
class TextTask:
    """Any text file."""

    path: str
    split: Split | None = None
    """Keeps the lines of this split, by hash; None: all lines."""
    limit: int | None = None
    offset: int = 0
    name: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        if self.split is not None:
            check_split(self.split)
        other = TASK_OF_SUFFIX.get(Path(self.path).suffix.lower(), self.name)
        if other != self.name:
            raise ValueError(
                f"task.path ({self.path}) looks like a file for task={other}, and task=text would "
                f"ask its lines as they stand; choose task={other}, or name the file .txt"
            )

    def load(self) -> TaskData:
        """Returns the file's questions."""
        return read_lines(self.path, self._question).cut(self.offset, self.limit)

    def _question(self, line: int, text: str) -> Question | None:
        question = text.strip()
        split = split_of_text(question)
        if self.split is not None and split != self.split:
            return None
        return Question(text=question, task=self.name, metadata={"line": line, "split": split})
