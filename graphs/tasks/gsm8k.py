"""GSM8K: grade-school word problems with whole-number answers. Source: Cobbe et al. (arXiv:2110.14168).

The split is the data set's own: `test` is its test file, and its train file is divided by hash into `validation` (5 %) and `train` (the
rest), so that something can be tuned on without touching the test. `metadata["split"]` records it. A local file must be the one that the
split is taken from: a file named "...test..." is refused for training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agents.nouns import BadDataError, Question, Split, split_of
from graphs.tasks.base import TaskData, check_slice, check_split, collect, read_lines
from graphs.tasks.jsonl import parse_row, text_of

HUB_ID = "openai/gsm8k"


@dataclass(frozen=True)
class Gsm8kTask:
    """GSM8K from a local JSONL file (fields question and answer), or from the hub when `path` is None."""

    path: str | None = None
    split: Split = "test"
    limit: int | None = None
    offset: int = 0
    name: ClassVar[str] = "gsm8k"

    def __post_init__(self) -> None:
        check_slice(self.offset, self.limit)
        check_split(self.split)
        other = "train" if self.part == "test" else "test"
        if self.path is not None and other in Path(self.path).name.lower():
            raise ValueError(
                f"task.path ({self.path}) looks like GSM8K's {other} file, but task.split={self.split} is taken from its {self.part} file; "
                f"set task.split={other}, or give the {self.part} file"
            )

    @property
    def part(self) -> str:
        """The file of the data set that the split is taken from."""
        return "test" if self.split == "test" else "train"

    def load(self) -> TaskData:
        """Returns the questions of the split."""
        if self.path is not None:
            data = read_lines(self.path, self._question)
        else:
            data = collect(self._hub_rows(), lambda line, raw: self._question(line, raw.decode()), HUB_ID)
        return data.cut(self.offset, self.limit)

    def _hub_rows(self) -> Iterator[tuple[int, bytes]]:
        import datasets

        try:
            rows = datasets.load_dataset(HUB_ID, "main", split=self.part)
        except Exception as error:  # the library's errors have no common base: no network, no such data set, a broken cache
            raise BadDataError(
                f"{HUB_ID} cannot be loaded from the hub ({type(error).__name__}: {str(error)[:200]}); "
                "give a local JSONL file with task.path=FILE"
            ) from error
        yield from ((number, json.dumps(dict(row)).encode()) for number, row in enumerate(rows, start=1))

    def _question(self, line: int, text: str) -> Question | None:
        row = parse_row(text)
        question, solution = text_of(row, "question"), text_of(row, "answer")
        _, mark, gold = solution.rpartition("####")
        if not mark or not gold.strip():
            raise ValueError("has an answer without '#### GOLD'")
        split: Split = "test" if self.part == "test" else "validation" if split_of(question) == "validation" else "train"
        if split != self.split:
            return None
        metadata = {"split": split, "line": line, "solution": solution}
        return Question(text=question, gold=gold.strip().replace(",", ""), task=self.name, metadata=metadata)
