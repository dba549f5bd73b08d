"""Deletion: no byte of a thought is left in the run's folder, and what a user may see
stays.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agents.files import write_text
from agents.types import BadTraceError, Hidden, RunConflictError, ThoughtsDeletedError
from graphs.traces.codec import AuditCodec
from graphs.traces.deletion import delete_record, delete_thoughts, without_thought
from graphs.traces.store import FILE_NAME, TraceStore
from graphs.traces.trace import Trace
from tests.graphs.traces.samples import ordinary_trace

DAY, LATER = date(2026, 1, 31), date(2026, 2, 1)
COUNT = 12
PIECE = 24  # bytes of a blob that no other content is likely to hold


def open_store(run_dir: Path) -> TraceStore:
    return TraceStore.open(run_dir, config_hash="c0ffee", config_yaml="{}")


@pytest.fixture
def traces() -> list[Trace]:
    return sorted(
        (ordinary_trace(index) for index in range(COUNT)), key=lambda trace: trace.question.hash
    )


@pytest.fixture
def run_dir(tmp_path: Path, traces: list[Trace]) -> Path:
    folder = tmp_path / "first"
    with open_store(folder) as store:
        for trace in traces:
            store.record(trace)
    for name in ("config.yaml", "metrics.json", "report.md"):
        write_text(folder / name, name)
    return folder


def pieces(folder: Path) -> Iterator[bytes]:
    """Yields pieces of every stored thought, all along its blob."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        for (blob,) in connection.execute("SELECT trace FROM traces").fetchall():
            yield from (blob[start : start + PIECE] for start in range(0, len(blob) - PIECE, PIECE))


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def visible(folder: Path) -> list[dict[str, Any]]:
    with TraceStore.read(folder) as store:
        return list(store.visible())


def test_no_byte_of_a_thought_is_left_in_the_folder(run_dir: Path, traces: list[Trace]) -> None:
    before = content(run_dir)
    hidden = list(pieces(run_dir))
    # A piece may span two pages of the file; most do not.
    assert sum(piece in before for piece in hidden) > 0.9 * len(hidden) > 100
    found = delete_thoughts(run_dir, day=DAY)
    after = content(run_dir)
    assert (found.deleted_on, found.traces, found.damaged) == ("2026-01-31", COUNT, 0)
    assert sum(piece in after for piece in hidden) == 0
    with closing(sqlite3.connect(run_dir / FILE_NAME)) as connection:
        for (blob,) in connection.execute("SELECT trace FROM traces"):
            assert b"step 0: " not in AuditCodec().dumps(AuditCodec().loads(blob))
            assert AuditCodec().loads(blob).events == ()


def test_thoughts_in_the_log_and_in_free_pages_go_as_well(
    run_dir: Path, traces: list[Trace]
) -> None:
    hidden = list(pieces(run_dir))
    with closing(sqlite3.connect(run_dir / FILE_NAME)) as crashed:
        crashed.execute("PRAGMA journal_mode = WAL")
        with crashed:
            # without secure_delete: pages are only marked as free
            crashed.execute("DELETE FROM traces WHERE rowid > 6")
        left = content(run_dir)
        assert sum(piece in left for piece in hidden) > len(hidden) // 2
        assert delete_thoughts(run_dir, day=DAY).traces == 6
    after = content(run_dir)
    assert sum(piece in after for piece in hidden) == 0


def test_what_a_user_may_see_stays(run_dir: Path, traces: list[Trace]) -> None:
    before = visible(run_dir)
    delete_thoughts(run_dir, day=DAY)
    assert visible(run_dir) == before
    with TraceStore.read(run_dir) as store:
        assert store.thoughts_deleted_on == "2026-01-31" and not store.damaged
        assert list(store.outcomes()) == [without_thought(trace) for trace in traces]
    assert all(
        (run_dir / name).read_text() == name
        for name in ("config.yaml", "metrics.json", "report.md")
    )


def hidden_in(value: object) -> Iterator[Hidden[Any]]:
    """Yields every hidden value inside a trace."""
    if isinstance(value, Hidden):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from hidden_in(getattr(value, field.name))
    elif isinstance(value, dict):
        for entry in value.values():
            yield from hidden_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from hidden_in(entry)


def test_a_trace_without_its_thought_holds_nothing_hidden(traces: list[Trace]) -> None:
    for trace in traces:
        assert len(list(hidden_in(trace))) > 20
        assert (
            not list(hidden_in(without_thought(trace))) and not without_thought(trace).policy_prompt
        )


def test_whoever_wants_the_thoughts_is_refused_with_the_day(
    run_dir: Path, traces: list[Trace]
) -> None:
    delete_thoughts(run_dir, day=DAY)
    with TraceStore.read(run_dir) as store:
        for attempt in (lambda: list(store), lambda: store.get(traces[0].question.hash, 0)):
            with pytest.raises(ThoughtsDeletedError) as caught:
                attempt()
            assert caught.value.deleted_on == "2026-01-31" and "2026-01-31" in str(caught.value)


def test_a_second_deletion_changes_nothing(run_dir: Path) -> None:
    first = delete_thoughts(run_dir, day=DAY)
    before = (run_dir / FILE_NAME).read_bytes()
    second = delete_thoughts(run_dir, day=LATER)
    assert second == first and (first.is_repeated, second.is_repeated) == (False, True)
    assert len((run_dir / FILE_NAME).read_bytes()) == len(before)


def test_a_run_that_is_being_written_is_left_alone(run_dir: Path, traces: list[Trace]) -> None:
    with open_store(run_dir) as store:
        for delete in (lambda: delete_thoughts(run_dir, day=DAY), lambda: delete_record(run_dir)):
            with pytest.raises(RunConflictError, match="another process is writing"):
                delete()
        assert list(store) == traces


def test_a_reader_that_holds_the_log_is_named_and_the_call_is_repeated(run_dir: Path) -> None:
    hidden = list(pieces(run_dir))
    with closing(sqlite3.connect(run_dir / FILE_NAME, isolation_level=None)) as reader:
        reader.execute("PRAGMA busy_timeout = 0")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM traces").fetchone()
        with pytest.raises(RunConflictError, match="another process reads"):
            delete_thoughts(run_dir, day=DAY, wait_s=0.0)
        reader.execute("COMMIT")
    assert delete_thoughts(run_dir, day=LATER).deleted_on == "2026-01-31"
    after = content(run_dir)
    assert sum(piece in after for piece in hidden) == 0


def test_a_damaged_trace_goes_whole(run_dir: Path) -> None:
    hidden = list(pieces(run_dir))
    with closing(sqlite3.connect(run_dir / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE traces SET trace = substr(trace, 1, 400) WHERE rowid = 1")
    found = delete_thoughts(run_dir, day=DAY)
    assert (found.traces, found.damaged) == (COUNT - 1, 1)
    after = content(run_dir)
    assert sum(piece in after for piece in hidden) == 0


def test_another_schema_version_is_not_touched(run_dir: Path) -> None:
    with closing(sqlite3.connect(run_dir / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE runs SET schema_version = 99")
    with pytest.raises(BadTraceError, match="schema version 99"):
        delete_thoughts(run_dir, day=DAY)
    assert len(list(pieces(run_dir))) > 100


def test_the_whole_record_goes_and_what_is_not_of_it_stays(run_dir: Path) -> None:
    for stages in ("stages", "phases"):
        write_text(run_dir / stages / "sft.json", json.dumps({"folder": "model"}))
    (run_dir / ".metrics.json.123").write_text("half")
    (run_dir / "model").mkdir()
    assert delete_record(run_dir) == [run_dir / "model"]
    assert sorted(run_dir.iterdir()) == [run_dir / "model"]
    (run_dir / "model").rmdir()
    with open_store(run_dir):
        pass
    assert delete_record(run_dir) == [] and not run_dir.exists()
