"""Traces as a file that `datasets.load_dataset` reads: JSON Lines or Parquet, one row for each trace.

    export(store, Path("first.parquet"))
    datasets.load_dataset("parquet", data_files="first.parquet")

Without `reveal` a row holds what a user may see and nothing of the thought.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphs.files import replacing
from graphs.thought.markup import render
from graphs.traces.codec import AuditCodec
from graphs.traces.store import VISIBLE, TraceStore

_ROWS_PER_GROUP = 500


def export(store: TraceStore, path: Path | str, *, reveal: bool = False) -> int:
    """Writes the traces of `store` to `path` and returns their number. The file appears whole or not at all.

    Columns: those of `TraceStore.visible`. With `reveal` also `thought` (the long thought with its mark-up) and `trace` (the whole trace as
    JSON, which `AuditCodec.decode` takes): hidden thought, for training and audit.

    Raises:
        ValueError: `path` ends neither in .jsonl nor in .parquet, or there is no trace yet (`datasets` cannot read an empty file).
        BadTraceError: a trace cannot be read back.
        StorageError: the file cannot be written.
        ThoughtsDeletedError: they are asked for and were deleted.
    """
    path = Path(path)
    if path.suffix not in (".jsonl", ".parquet"):
        raise ValueError(f"cannot export to {path.name!r}: the name must end in .jsonl or .parquet")
    if len(store) == 0:
        raise ValueError(f"run {store.run!r} holds no trace yet; export it after the first question is finished")
    write = _write_jsonl if path.suffix == ".jsonl" else _write_parquet
    with replacing(path, private=reveal, elsewhere="export to another file") as unfinished:
        return write(_rows(store, reveal), unfinished, reveal)


def _rows(store: TraceStore, reveal: bool) -> Iterator[dict[str, Any]]:
    codec = AuditCodec()
    for row in store.visible():
        if reveal:
            trace = store.get(row["question_hash"], row["sample"])
            thought = render(trace.long_thought).reveal().encode("utf-8", "replace").decode()
            row |= {"thought": thought, "trace": json.dumps(codec.encode(trace))}
        yield row


def _write_jsonl(rows: Iterator[dict[str, Any]], path: Path, reveal: bool) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path, reveal: bool) -> int:
    import pyarrow as pa  # type: ignore[import-untyped]  # loaded only here: graphs imports without it
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    text, number = pa.string(), pa.int64()
    counts = ("prompt_tokens", "cached_prompt_tokens", "generated_tokens", "calls")
    usage = pa.list_(pa.struct([("role", text), *((name, number) for name in counts)]))
    kinds = {"sample": number, "correct": pa.bool_(), "usage": usage, "seconds": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, text)) for name in [*VISIBLE, *(["thought", "trace"] if reveal else [])]])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                count += len(group)
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))
    return count + len(group)
