"""Questions from a JSONL file: one object per line, `{"question": ..., "answer": ...}` unless the field
names say otherwise. Without `answer` a question is asked and not scored.

The split of a line is a function of its question's hash. A published set has a split of its own, and a
task of its own (graphs/tasks/published.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agents.nouns import BadDataError
from graphs.tasks.base import TaskData, read_bytes, without_blank
from graphs.tasks.rows import RowTask


@dataclass(frozen=True)
class JsonlTask(RowTask):
    """Any JSONL file."""

    name = "jsonl"

    def load(self) -> TaskData:
        """Returns the file's questions."""
        content = read_bytes(self.path)
        lines = without_blank(content)
        try:
            return self.collect(lines, lambda raw: parse_row(raw.decode()))
        except BadDataError as error:
            if content.lstrip().startswith(b"["):
                raise BadDataError(
                    f"{error}; the file looks like one JSON array: write its objects one per line, for example with jq -c '.[]' {self.path}"
                ) from None
            raise


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
    except ValueError:  # Python's limit for integers
        raise ValueError("holds an integer of thousands of digits; write it as text") from None
    if not isinstance(row, dict):
        raise ValueError(f"is a JSON {type(row).__name__}, not an object")
    return row
