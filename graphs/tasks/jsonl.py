"""Questions from a JSONL file: one object per line, by default
`{"question": ..., "answer": ...}`. A question without `answer` is not scored. A file
that is one JSON array of such objects is read, too; its items count as lines.

The split of a line is a function of its question's hash. A published set with its own
split has its own task (graphs/tasks/published/published.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from graphs.tasks.base import TaskData, read_bytes, without_blank
from graphs.tasks.rows import RowTask


@dataclass(frozen=True)
class JsonlTask(RowTask):
    """Any JSONL file."""

    name = "jsonl"
    expected = "one JSON object per line"

    def load(self) -> TaskData:
        """Returns the questions of the lines, or of the items of a JSON array."""
        content = read_bytes(self.path)
        if (items := _array(content)) is not None:
            return self.collect(enumerate(items, start=1), as_object)
        return self.collect(without_blank(content), lambda raw: parse_row(raw.decode()))


def parse_row(text: str) -> dict[str, Any]:
    """Returns the object of a line.

    Raises:
        ValueError: the line is not a JSON object.
    """
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:  # Python's limit for integers
        raise ValueError("holds an integer of thousands of digits; write it as text") from None
    return as_object(row)


def as_object(value: Any) -> dict[str, Any]:
    """Returns `value`.

    Raises:
        ValueError: it is not a JSON object.
    """
    if not isinstance(value, dict):
        raise ValueError(f"is a JSON {type(value).__name__}, not an object")
    return value


def _array(content: bytes) -> list[Any] | None:
    """Returns the items of a file that is one JSON array; None for any other file."""
    if not content.lstrip().startswith(b"["):
        return None
    try:
        items = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return items if isinstance(items, list) else None
