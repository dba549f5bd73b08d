"""Writes rows as JSON Lines or Parquet, with columns and types independent of the
values.

Parquet stores its schema, JSON Lines does not. A reader of JSON Lines infers each
column's type from the first rows (`datasets` from 10 MB, others from less), and fails
if a column was null, empty or date-like in all of them. So the file begins with rows
that together show every type; the other rows follow in order.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

Kind: TypeAlias = "type | list[Kind] | dict[str, Kind]"
"""Type of a column: str, int, float or bool; a list with the kind of its items; an
object with the kinds of its fields. Every value may be null."""

Columns: TypeAlias = Mapping[str, Kind]

_ROWS_PER_GROUP = 500
# prefix of a text that Arrow's JSON reader parses as a timestamp
_DATE = re.compile(r"\s?\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing a file."""

    rows: int
    only_dates: tuple[str, ...] = ()
    """Text columns of a JSON Lines file that hold dates in every row: a reader parses
    them as timestamps."""


def write_parquet(rows: Iterable[Mapping[str, Any]], path: Path, columns: Columns) -> Written:
    """Writes the rows as Parquet; a file without rows still holds the columns."""
    # loaded only here: graphs imports without it
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    def arrow(kind: Kind) -> Any:
        if isinstance(kind, list):
            return pa.list_(arrow(kind[0]))
        if isinstance(kind, dict):
            return pa.struct([(name, arrow(inner)) for name, inner in kind.items()])
        return {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[kind]

    schema = pa.schema([(name, arrow(kind)) for name, kind in columns.items()])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        group: list[Mapping[str, Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                count += len(group)
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))
    return Written(count + len(group))


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path, columns: Columns) -> Written:
    """Writes the rows as JSON Lines, beginning with the rows that are first to show the
    type of a column.
    """
    leaves = set(_leaves(dict(columns)))
    shown: set[str] = set()
    dates: set[str] = set()
    first: list[tuple[int, int]] = []  # begin and end of the rows that show a type
    count = 0
    with tempfile.TemporaryFile(dir=path.parent) as body, path.open("wb") as file:
        for row in rows:
            count += 1
            begin = body.tell()
            body.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            if shown == leaves:
                continue
            values = [*_values(dict(row))]
            dates.update(path for path, is_date in values if is_date)
            typed = {path for path, is_date in values if not is_date}
            if not typed <= shown:
                shown |= typed
                first.append((begin, body.tell()))
        for begin, end in first:
            _copy(body, file, begin, end)
        place = 0
        for begin, end in [*first, (body.seek(0, 2), 0)]:
            _copy(body, file, place, begin)
            place = end
    return Written(count, tuple(sorted(dates - shown)))


def _leaves(kind: Kind, path: str = "") -> Iterator[str]:
    if isinstance(kind, dict):
        for name, inner in kind.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(kind, list):
        yield from _leaves(kind[0], path)
    else:
        yield path


def _values(value: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Yields the path of each non-null value, and whether the value is a text that
    looks like a date.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, path)
    elif value is not None:
        yield path, isinstance(value, str) and _DATE.match(value) is not None


def _copy(source: IO[bytes], target: IO[bytes], begin: int, end: int) -> None:
    source.seek(begin)
    while begin < end:
        block = source.read(min(shutil.COPY_BUFSIZE, end - begin))  # type: ignore[attr-defined]
        target.write(block)
        begin += len(block)
