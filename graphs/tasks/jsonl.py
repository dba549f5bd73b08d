"""Questions from a JSONL file: one object per line, `{"question": ..., "answer": ...}` unless the field names say otherwise.

The split of a line is a function of its question's hash. A published set has a split of its own, and a task of its own
(graphs/tasks/published.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from agents.nouns import Question, Split
from graphs.tasks.base import TaskData, check_slice, check_split, read_lines
from graphs.tasks.leakage import split_of_text


@dataclass(frozen=True)
class JsonlTask:
    """Any JSONL file."""

    path: str
    split: Split | None = None
    """Lines of this split only, by hash; None: every line."""
    limit: int | None = None
    offset: int = 0
    question_field: str = "question"
    """Name of the field, or several joined by commas: their texts are joined by a blank."""
    answer_field: str = "answer"
    """Name of the gold answer's field; a line with null there has no gold."""
    name: ClassVar[str] = "jsonl"

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        if self.split is not None:
            check_split(self.split)

    def load(self) -> TaskData:
        """Returns the file's questions."""
        return read_lines(self.path, self._question).cut(self.offset, self.limit)

    def _question(self, line: int, text: str) -> Question | None:
        row = parse_row(text)
        question = question_in(row, *self.question_field.split(","))
        if self.answer_field not in row:
            raise ValueError(f"has no field {self.answer_field!r}")
        gold = gold_of(row[self.answer_field], self.answer_field)
        split = split_of_text(question)
        if self.split is not None and split != self.split:
            return None
        return Question(text=question, gold=gold, task=self.name, metadata={"line": line, "split": split})


def parse_row(text: str) -> dict[str, Any]:
    """Returns the object of a line.

    Raises:
        ValueError: it holds no JSON object.
    """
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError(f"is a JSON {type(row).__name__}, not an object")
    return row


def text_of(row: dict[str, Any], field: str) -> str:
    """Returns a field that must be text.

    Raises:
        ValueError: it is missing or something else.
    """
    if field not in row:
        raise ValueError(f"has no field {field!r}")
    value = row[field]
    if not isinstance(value, str):
        raise ValueError(f"has a field {field!r} that is a {type(value).__name__}, not text")
    return value


def question_in(row: dict[str, Any], *fields: str) -> str:
    """Returns the question in a field, or in several, whose texts are joined by a blank.

    Raises:
        ValueError: one is missing or something else.
    """
    return " ".join(text_of(row, field).strip() for field in fields)


def gold_of(value: Any, field: str) -> str | None:
    """Returns a gold answer as text; 145.0 is "145".

    Raises:
        ValueError: it is neither text nor a number nor null, or empty.
    """
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"has a field {field!r} that is a {type(value).__name__}, not text or a number")
    if not (gold := str(value).strip()):
        raise ValueError(f"has an empty field {field!r}")
    return gold
