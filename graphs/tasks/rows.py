"""Questions in rows with named fields: lines of JSONL, rows of CSV, rows of published
sets.

A missing field is an error that lists the row's fields and proposes the option to set.
Guessing another field could silently ask, or score against, the wrong column.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from agents.types import BadDataError, Question, Split
from configs.schema.task import TASK_OF_SUFFIX
from graphs.tasks.base import TaskData, check_slice, check_split, collect
from graphs.tasks.leakage import split_of_text

DEFAULT_ANSWER = "answer"
"""The default field of golds; a file may lack it."""

_QUESTIONS = (
    *("question", "problem", "prompt", "query", "instruction", "input", "text", "q"),
    *("questions", "prompts", "task"),
)
_ANSWERS = (
    *("answer", "gold", "target", "label", "final_answer", "solution", "expected", "output"),
    *("response", "answers", "a", "gold_answer", "ground_truth", "completion"),
)
_PLAIN = r"[\w.-]+"  # a name that needs no quotes on a command line
_MOST_SHOWN = 10  # fields that an error names


@dataclass(frozen=True)
class RowTask(ABC):
    """Questions of a user's file whose rows have named fields; golds are optional."""

    path: str
    split: Split | None = None
    """Rows of this split only, by hash; None: every row."""
    limit: int | None = None
    offset: int = 0
    question_field: str = "question"
    """Name of the field, or several joined by commas: their texts are joined by a
    blank."""
    answer_field: str | None = DEFAULT_ANSWER
    """Name of the gold's field; a row with null or a blank there has no gold. Rows may
    lack the default field `answer`, but no other. None: no row has a gold."""
    name: ClassVar[str]
    expected: ClassVar[str]
    """The format of the file, for errors."""

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        if self.split is not None:
            check_split(self.split)
        if not all(self.question_fields):
            raise ValueError(
                f"task.question_field ({self.question_field!r}) must name a field, or several "
                "joined by commas; leave it out to read the field question"
            )

    @property
    def question_fields(self) -> list[str]:
        """The fields that make up the question."""
        return [field.strip() for field in self.question_field.split(",")]

    @abstractmethod
    def load(self) -> TaskData:
        """Returns the file's questions."""

    def collect(
        self,
        rows: Iterable[tuple[int, Any]],
        read: Callable[[Any], Mapping[str, Any]],
    ) -> TaskData:
        """Returns the questions of numbered rows; `read` returns a row's fields.

        Adds a note if no row has the default gold field although there are other
        fields.

        Raises:
            BadDataError: see `graphs.tasks.base.collect`; the message names the task
                that fits the file's suffix.
        """
        fields: dict[str, None] = {}

        def question(line: int, raw: Any) -> Question | None:
            row = read(raw)
            fields.update(dict.fromkeys(row))
            return self.question(line, row)

        try:
            data = collect(rows, question, self.path, expected=self.expected)
        except BadDataError as error:
            raise BadDataError(f"{error}{other_task(self.path, self.name)}") from None
        others = [field for field in fields if field not in self.question_fields]
        if self.answer_field == DEFAULT_ANSWER not in fields and others:
            way_out = proposal("task.answer_field", others, _ANSWERS)
            data.notes.append(
                f"no row of {self.path} has a field {DEFAULT_ANSWER!r}, so nothing is scored; "
                f"{fields_in(fields)}; if one holds the right answers, {way_out}"
            )
        return data.cut(self.offset, self.limit)

    def question(self, line: int, row: Mapping[str, Any]) -> Question | None:
        """Returns the question in a row; None if it belongs to another split.

        Raises:
            ValueError: the row is invalid; the message continues "line 3 ...".
        """
        self.check_fields(row)
        question = question_in(row, *self.question_fields)
        gold = (
            None
            if self.answer_field is None
            else gold_of(row.get(self.answer_field), self.answer_field)
        )
        split = split_of_text(question)
        if self.split is not None and split != self.split:
            return None
        metadata = {"line": line, "split": split}
        return Question(text=question, gold=gold, task=self.name, metadata=metadata)

    def check_fields(self, fields: Iterable[str]) -> None:
        """Raises ValueError, with the option to set, if a field that the options name
        is missing.
        """
        fields = list(fields)
        for field in self.question_fields:
            if field not in fields:
                raise ValueError(_missing(field, fields, "task.question_field", _QUESTIONS))
        field = self.answer_field or DEFAULT_ANSWER
        if field != DEFAULT_ANSWER and field not in fields:
            others = [other for other in fields if other not in self.question_fields]
            raise ValueError(_missing(field, fields, "task.answer_field", _ANSWERS, others))


def other_task(path: str | Path, name: str) -> str:
    """Returns a hint if the suffix of a file belongs to another task than `name`, else
    "".
    """
    other = TASK_OF_SUFFIX.get(Path(path).suffix.lower())
    return "" if other in (None, name) else f"; for a {Path(path).suffix} file choose task={other}"


def text_of(row: Mapping[str, Any], field: str) -> str:
    """Returns a field of a row.

    Raises:
        ValueError: the field is missing or not text.
    """
    if field not in row:
        raise ValueError(f"has no field {field!r}; {fields_in(row)}")
    value = row[field]
    if not isinstance(value, str):
        raise ValueError(f"has a field {field!r} that is {_kind(value)}, not text")
    return value


def question_in(row: Mapping[str, Any], *fields: str) -> str:
    """Returns the texts of the fields, joined by a blank.

    Raises:
        ValueError: a field is missing or not text.
    """
    return " ".join(text_of(row, field).strip() for field in fields)


def gold_of(value: Any, field: str) -> str | None:
    """Returns a gold answer as text, "145" for 145.0; None for null or a blank.

    Raises:
        ValueError: the value is not text, a finite number, or null.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise ValueError(
            f"has a field {field!r} that is {_kind(value)}; write the words of the right answer, "
            'such as "Yes" or "True", as text'
        )
    if not isinstance(value, str | int | float):
        raise ValueError(f"has a field {field!r} that is {_kind(value)}, not text or a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"has a field {field!r} that is {value}, which is no finite number")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def fields_in(row: Iterable[str]) -> str:
    """Returns a phrase that lists the names of a row's fields."""
    names = [repr(str(name)) for name in row]
    if not names:
        return "it has no fields"
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"its fields are {', '.join(names[:_MOST_SHOWN])}{more}"


def proposal(option: str, fields: Iterable[str], names: tuple[str, ...]) -> str:
    """Returns a phrase that sets `option` to the field with the first of the usual
    `names` that occurs, ignoring case.
    """
    by_name = {str(field).strip().casefold(): str(field) for field in fields}
    found = next((by_name[name] for name in names if name in by_name), None)
    if found is None:
        return f"set {option} to the one that is meant"
    return f"set {option}={found}" if re.fullmatch(_PLAIN, found) else f"set '{option}=\"{found}\"'"


def _missing(
    field: str,
    fields: list[str],
    option: str,
    names: tuple[str, ...],
    candidates: list[str] | None = None,
) -> str:
    way_out = (
        proposal(option, fields if candidates is None else candidates, names) if fields else ""
    )
    return f"has no field {field!r}; {fields_in(fields)}" + (f"; {way_out}" if way_out else "")


def _kind(value: Any) -> str:
    name = {dict: "object", bool: "boolean", type(None): "null", str: "text"}.get(type(value))
    name = name or type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
