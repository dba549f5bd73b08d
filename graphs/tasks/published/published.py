"""Published sets of questions, from a local file or the hub, with the data set's own
split.

A set is a dataclass derived from `PublishedTask` that implements `read`. Its test part
is for measuring only. The split `validation` is 5 % of the train part, by hash, for
tuning; `train` is the rest. A set without a train part can be neither trained nor tuned
on.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from agents.types import BadDataError, Question, Split, split_of
from graphs.tasks.base import TaskData, check_slice, check_split, collect, read_lines
from graphs.tasks.jsonl import parse_row
from graphs.tasks.rows import gold_of


class Row(NamedTuple):
    """One row of a data set."""

    question: str
    gold: str
    metadata: dict[str, Any] = {}  # noqa: RUF012  # read only


@dataclass(frozen=True)
class PublishedTask(ABC):
    """A published data set, from a local JSONL file, or from the hub if `path` is
    None.
    """

    path: str | None = None
    split: Split = "test"
    limit: int | None = None
    offset: int = 0
    order: Literal["file", "hash"] = "file"
    name: ClassVar[str]
    title: ClassVar[str]
    """Name of the data set in messages."""
    hub: ClassVar[tuple[str, ...]]
    """Id on the hub, and the configuration if there are several."""
    hub_test: ClassVar[str] = "test"
    """Name of the test part on the hub."""
    hub_train: ClassVar[str | None] = None
    """Name of the train part on the hub; None: the set has none."""

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        check_split(self.split)
        if self.part == "train" and self.hub_train is None:
            raise ValueError(
                f"task.split ({self.split}) is taken from a train part, and {self.title} has "
                "none: it is for measuring only; "
                "set task.split=test, and train and tune on another task, such as task=gsm8k"
            )
        other = "train" if self.part == "test" else "test"
        if self.order not in ("file", "hash"):
            raise ValueError(f"task.order ({self.order}) must be file or hash; set one of them")
        if (
            self.path is not None
            and self.hub_train is not None
            and other in Path(self.path).name.lower()
            and not Path(self.path).expanduser().is_dir()
        ):
            raise ValueError(
                f"task.path ({self.path}) looks like {self.title}'s {other} file, but "
                f"task.split={self.split} is taken from its "
                f"{self.part} file; set task.split={other}, or give the {self.part} file"
            )

    @property
    def part(self) -> str:
        """The part of the data set that holds the split."""
        return "test" if self.split == "test" else "train"

    @abstractmethod
    def read(self, row: dict[str, Any]) -> Row:
        """Returns the question in a row.

        Raises:
            ValueError: the row is invalid; the message continues "line 3 ...".
        """

    def keeps(self, row: Row) -> bool:
        """Whether the set's own options choose a row."""
        return True

    def load(self) -> TaskData:
        """Returns the questions of the split."""
        if self.path is not None:
            data = read_lines(self._file(self.path), self._question)
        else:
            data = collect(
                self._hub_rows(), lambda line, raw: self._question(line, raw.decode()), self.hub[0]
            )
        if self.order == "hash":
            data.questions.sort(key=lambda question: question.hash)
        return data.cut(self.offset, self.limit)

    def _file(self, path: str) -> str:
        """Returns the file of this set and part: `path`, or a file in that folder whose
        name contains the set's name, and "test" or "train" if there are two.

        Raises:
            BadDataError: the folder has no such file.
        """
        folder = Path(path).expanduser()
        if not folder.is_dir():
            return path
        other = "train" if self.part == "test" else "test"
        for file in sorted(folder.glob("*.jsonl")):
            named = file.stem.lower()
            if self.name in named and (self.hub_train is None or other not in named):
                return str(file)
        raise BadDataError(
            f"task.path ({path}) is a folder without a file *{self.name}*.jsonl of the "
            f"{self.part} part; name the file"
        )

    def _hub_rows(self) -> Iterator[tuple[int, bytes]]:
        import datasets

        try:
            rows = datasets.load_dataset(
                *self.hub, split=self.hub_test if self.part == "test" else self.hub_train
            )
        # the library's errors (no network, unknown data set, broken cache) have no
        # common base class
        except Exception as error:
            raise BadDataError(
                f"{self.hub[0]} cannot be loaded from the hub ({type(error).__name__}: "
                f"{str(error)[:200]}); give a local JSONL file with task.path=FILE"
            ) from error
        yield from (
            (number, json.dumps(dict(row)).encode()) for number, row in enumerate(rows, start=1)
        )

    def _question(self, line: int, text: str) -> Question | None:
        row = self.read(parse_row(text))
        split: Split = (
            "test"
            if self.part == "test"
            else "validation"
            if split_of(row.question) == "validation"
            else "train"
        )
        if split != self.split or not self.keeps(row):
            return None
        metadata = {"split": split, "line": line, **row.metadata}
        return Question(text=row.question, gold=row.gold, task=self.name, metadata=metadata)


def gold_in(row: dict[str, Any], field: str) -> str:
    """Returns the gold answer in a field, "145" for 145.0.

    Raises:
        ValueError: the field is missing, null or blank.
    """
    gold = gold_of(row.get(field), field)
    if gold is None:
        raise ValueError(f"has no answer in field {field!r}")
    return gold
