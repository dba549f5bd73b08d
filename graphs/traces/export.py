"""Exports traces as JSON Lines or Parquet for `datasets.load_dataset` and TRL's
trainers.

    export(store, Path("first.parquet"))
    datasets.load_dataset("parquet", data_files="first.parquet")

Formats:

    trace   a row for each trace: what a user may see of it; with `reveal` also the
            thought
    sft     a row for each right or unscored answer, for TRL's SFTTrainer
            (graphs/traces/conversations.py)
    dpo     a row for each pair of a right and a wrong answer to one question, for TRL's
            DPOTrainer

Without `reveal` a row holds nothing of the thought, except that dpo shows the final
answers of other branches. With `reveal`, only the owner can read the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from agents.files import replacing
from agents.safety.visible_text import visible_text
from graphs.thought.markup import render
from graphs.traces.codec import AuditCodec
from graphs.traces.columns import VISIBLE
from graphs.traces.conversations import (
    DPO_COLUMNS,
    SFT_COLUMNS,
    Selection,
    dpo_rows,
    sft_rows,
)
from graphs.traces.row_files import Columns, Kind, write_jsonl, write_parquet
from graphs.traces.store import TraceStore

Format = Literal["trace", "sft", "dpo"]
FORMATS: tuple[Format, ...] = get_args(Format)

_USAGE = ("prompt_tokens", "cached_prompt_tokens", "generated_tokens", "calls")
_KINDS: Mapping[str, Kind] = {
    "sample": int,
    "correct": bool,
    "usage": [{"role": str, **dict.fromkeys(_USAGE, int)}],
    "seconds": float,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export."""

    rows: int
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason -> number of traces (sft) or of questions (dpo)."""
    notes: list[str] = field(default_factory=list)
    """Warnings about using the file."""


def export(
    store: TraceStore,
    path: Path | str,
    *,
    format: Format = "trace",
    reveal: bool = False,
    keep_wrong: bool = False,
) -> Exported:
    """Writes the traces of `store` to `path`, a .jsonl or .parquet file, atomically.

    Args:
        format: see the module's docstring. The columns of trace are those of
            `TraceStore.visible`; with `reveal` also `thought` (the long thought with
            its mark-up) and `trace` (the whole trace as JSON, which `AuditCodec.decode`
            takes).
        reveal: include the hidden thought, for training and audit.
        keep_wrong: include wrong answers in sft, with correct=false.

    Raises:
        ValueError: `path` has another suffix, an option does not fit the format, or
            there is no trace yet.
        BadTraceError: a trace cannot be read back.
        StorageError: the file cannot be written.
        ThoughtsDeletedError: the export needs thoughts, or the answers in them (dpo),
            and they were deleted.
    """
    path = Path(path)
    if path.suffix not in (".jsonl", ".parquet"):
        raise ValueError(f"cannot export to {path.name!r}: the name must end in .jsonl or .parquet")
    if format not in FORMATS:
        raise ValueError(f"format ({format!r}) must be one of {', '.join(FORMATS)}")
    if keep_wrong and format != "sft":
        raise ValueError(
            f"keep_wrong (true) is an option of format=sft, and format is {format}; leave it out"
        )
    if len(store) == 0:
        raise ValueError(
            f"run {store.run!r} holds no trace yet; export it after the first question is finished"
        )
    selection = Selection()
    columns, rows = _table(store, format, selection, reveal=reveal, keep_wrong=keep_wrong)
    write = write_jsonl if path.suffix == ".jsonl" else write_parquet
    with replacing(path, private=reveal, elsewhere="export to another file") as unfinished:
        written = write(rows, unfinished, columns)
    notes = []
    if not written.rows:
        notes.append(f"{path} has no rows, and datasets cannot load an empty file")
    if selection.held_out:
        notes.append(
            f"{selection.held_out} rows belong to questions held out from training (column "
            "split); leave them out of the training data if you evaluate on these questions"
        )
    if written.only_dates:
        notes.append(
            f"every text in {', '.join(written.only_dates)} is a date, which JSON readers parse as "
            "a timestamp; export to .parquet, which keeps the text"
        )
    return Exported(written.rows, dict(selection.left_out), notes)


def _table(
    store: TraceStore, format: Format, selection: Selection, *, reveal: bool, keep_wrong: bool
) -> tuple[Columns, Iterator[dict[str, Any]]]:
    """Returns the columns of a format and its rows."""
    match format:
        case "sft":
            traces = store if reveal else store.outcomes()
            return SFT_COLUMNS, sft_rows(traces, selection, reveal=reveal, keep_wrong=keep_wrong)
        case "dpo":
            own = store.config.task.checker
            return DPO_COLUMNS, dpo_rows(store, selection, reveal=reveal, checker=own)
        case "trace":
            names = [*VISIBLE, *(["thought", "trace"] if reveal else [])]
            return {name: _KINDS.get(name, str) for name in names}, _trace_rows(store, reveal)


def _trace_rows(store: TraceStore, reveal: bool) -> Iterator[dict[str, Any]]:
    codec = AuditCodec()
    for row in store.visible():
        for name in ("answer", "summary"):  # those of older versions may hold a think block
            row[name] = None if row[name] is None else visible_text(row[name])
        if reveal:
            trace = store.get(row["question_hash"], row["sample"])
            thought = render(trace.long_thought).reveal()
            row |= {"thought": thought, "trace": json.dumps(codec.encode(trace))}
        yield row
