"""Questions from a CSV file, as spreadsheets write it: a header that names the fields,
then one question per row. A cell in quotes may hold commas and line breaks (RFC 4180).
A question whose field `answer` is missing or empty is not scored.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agents.types import BadDataError
from graphs.tasks.base import TaskData, read_bytes
from graphs.tasks.rows import RowTask, fields_in, other_task

_Row: TypeAlias = list[str] | csv.Error
"""The cells of a row, or the error of a malformed one."""

_NEVER_CLOSED = "unexpected end of data"  # the csv module's words


@dataclass(frozen=True)
class CsvTask(RowTask):
    """Any CSV or TSV file with a header."""

    delimiter: str | None = None
    """Separator of cells; None: a tab in a .tsv file, a comma in any other."""
    name = "csv"
    expected = "a header that names the fields, then one question per row,"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n '):
            raise ValueError(
                f"task.delimiter ({self.delimiter!r}) must be one character, such as ;"
            )

    def load(self) -> TaskData:
        """Returns the file's questions."""
        with _cells_of_any_size():
            rows = self._rows()
            line, header = next(rows, (1, []))
            fields = self._fields(line, header)
            return self.collect(rows, lambda row: self._named(fields, row))

    @property
    def _separator(self) -> str:
        return self.delimiter or ("\t" if Path(self.path).suffix.lower() == ".tsv" else ",")

    def _rows(self) -> Iterator[tuple[int, _Row]]:
        """Yields each row that is not blank, with the number of its first line."""
        text = read_bytes(self.path).decode("utf-8", "surrogateescape")
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=self._separator, skipinitialspace=True, strict=True)
        while True:
            line, row = reader.line_num + 1, None
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if str(error) == _NEVER_CLOSED:
                    raise BadDataError(
                        f"task.path ({self.path}): a cell that opens with a quote on line {line} "
                        "is never closed, so the rows behind it cannot be separated; close it, "
                        "and write a quote inside a cell twice"
                    ) from None
                yield line, error
                continue
            if any(cell.strip() for cell in row):
                yield line, row

    def _fields(self, line: int, header: _Row) -> list[str]:
        """Returns the names in the header.

        Raises:
            BadDataError: it is malformed, or lacks a field that the options name.
        """
        where, other = f"task.path ({self.path})", other_task(self.path, self.name)
        if isinstance(header, csv.Error):
            raise BadDataError(
                f"{where}: its header (line {line}) is no row of CSV: {header}{other}"
            )
        fields = [cell.strip() for cell in header]
        if separator := next(
            (mark for mark in ";\t|," if len(fields) == 1 and mark in fields[0]), None
        ):
            way_out = (
                "name the file .tsv"
                if separator == "\t"
                else (f"set 'task.delimiter=\"{separator}\"'")
            )
            if separator != self._separator:
                raise BadDataError(
                    f"{where} has one field, {fields[0]!r}, which {separator!r} seems to "
                    f"separate; {way_out}{other}"
                )
        wanted = [*self.question_fields, *([self.answer_field] if self.answer_field else [])]
        if twice := next((field for field in wanted if fields.count(field) > 1), None):
            raise BadDataError(f"{where} has two fields {twice!r}; rename one in its header")
        try:
            _check_utf8(header)
            if fields:
                self.check_fields(fields)
        except ValueError as error:
            raise BadDataError(
                f"{where} {error} (its first row must name the fields){other}"
            ) from None
        return fields

    def _named(self, fields: list[str], row: _Row) -> dict[str, str]:
        if isinstance(row, csv.Error):
            raise ValueError(f"is no row of CSV: {row}; write a quote inside a cell twice")
        _check_utf8(row)
        if len(row) != len(fields):
            raise ValueError(
                f"has {len(row)} cells and the header {len(fields)} ({fields_in(fields)}); put a "
                f"cell that holds {self._separator!r} in quotes"
            )
        return dict(zip(fields, row, strict=True))


def _check_utf8(cells: list[str]) -> None:
    if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
        raise ValueError("is not UTF-8 text")


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lifts the csv module's size limit, which is global, while a file is read."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
