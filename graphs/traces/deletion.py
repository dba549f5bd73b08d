"""Deletes the thoughts of a run but keeps what a user may see; or deletes the whole
record.

    delete_thoughts(Path("runs/first"), day=date.today())

`delete_thoughts` removes the events of the trees (steps, verdicts with their reasons,
reflections), the long thoughts and the policy's prompts. Questions, answers, summaries,
usage and configuration stay, so the run can still be compared and exported without
`--reveal`. The file, its free pages and its log keep nothing of the thoughts: freed
pages are zeroed (`secure_delete`), the file is rebuilt (`VACUUM`) and the log is
truncated. Copies that a file system, an SSD or a backup keeps are not deleted, nor are
files that were exported with `--reveal`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from agents.files import storing, unfinished_prefix
from agents.types import BadTraceError, RunConflictError
from graphs.thought.long_thought import LongThought
from graphs.traces.codec import AuditCodec
from graphs.traces.columns import COLUMNS, row_of
from graphs.traces.database import COMPANIONS, connect, lock_for_writing, translated
from graphs.traces.store import FILE_NAME, check_schema_version
from graphs.traces.trace import Trace

RECORD = ("config.yaml", "metrics.json", "report.md")
"""Files of a run beside its store."""
_STAGES = ("stages", "phases")  # results of a training run; "phases" in version 0.1


@dataclass(frozen=True, slots=True)
class Deletion:
    """What `delete_thoughts` did."""

    deleted_on: str
    """YYYY-MM-DD; the date of the first deletion if there were several."""
    traces: int
    """Traces that are kept without their thoughts."""
    damaged: int
    """Unreadable traces, which were removed whole."""
    is_repeated: bool = field(default=False, compare=False)
    """Whether an earlier call had already deleted everything."""


def delete_thoughts(folder: Path, *, day: date, wait_s: float = 30.0) -> Deletion:
    """Deletes the hidden thought of every trace of the run in `folder`. If a call was
    killed, the next call completes the deletion.

    Args:
        wait_s: longest wait for readers of the run, in seconds.

    Raises:
        RunConflictError: another process writes to the run, or reads it and thereby
            blocks truncating the log.
        BadTraceError: the whole store is damaged or has another schema version.
        StorageError: the store cannot be written.
    """
    path = folder / FILE_NAME
    with _held(folder), translated(path), closing(connect(path, read_only=False)) as connection:
        for (version,) in connection.execute("SELECT schema_version FROM runs"):
            check_schema_version(path, version)
        connection.execute(f"PRAGMA busy_timeout = {int(1000 * wait_s)}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        with connection:
            stripped, damaged = _strip(connection)
            was_deleted = connection.execute("SELECT count(*) FROM deletions").fetchone() != (0,)
            if not was_deleted:
                connection.execute("INSERT INTO deletions VALUES (?)", (day.isoformat(),))
        _empty_log(connection, folder)
        connection.execute("VACUUM")
        _empty_log(connection, folder)
        traces = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
        deleted_on = connection.execute("SELECT max(deleted_on) FROM deletions").fetchone()[0]
    return Deletion(
        deleted_on, traces, damaged, is_repeated=was_deleted and not stripped and not damaged
    )


def delete_record(folder: Path) -> list[Path]:
    """Deletes the store of a run, its configuration, metrics, report and stage results,
    and the folder if it is then empty.

    Returns:
        The paths left in the folder: a trained model, or files that the run did not
            write.

    Raises:
        RunConflictError: another process writes to the run.
        StorageError: a file cannot be deleted.
    """
    path = folder / FILE_NAME
    with _held(folder):
        # the store last, so that an interrupted deletion can be repeated
        for name in (*(f"{FILE_NAME}{end}" for end in COMPANIONS), *RECORD, FILE_NAME):
            _unlink(folder / name)
            for left in folder.glob(f"{unfinished_prefix(folder / name)}*"):
                _unlink(left)
        for result in (file for name in _STAGES for file in (folder / name).glob("*.json")):
            _unlink(result)
        _unlink(path.with_suffix(".lock"))
    for place in (*(folder / name for name in _STAGES), folder):
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            with storing(place, is_folder=True):
                place.rmdir()
    return sorted(folder.iterdir()) if folder.exists() else []


def _strip(connection: sqlite3.Connection) -> tuple[int, int]:
    """Removes the thoughts from all traces. Returns the number of traces that had one,
    and the number of unreadable traces, which are removed.
    """
    codec, stripped, damaged = AuditCodec(), 0, 0
    update = (
        f"UPDATE traces SET {', '.join(f'{name} = ?' for name in (*COLUMNS, 'checksum'))} WHERE "
        "rowid = ?"
    )
    for (rowid,) in connection.execute("SELECT rowid FROM traces").fetchall():
        (blob,) = connection.execute(
            "SELECT trace FROM traces WHERE rowid = ?", (rowid,)
        ).fetchone()
        try:
            trace = codec.loads(blob)
        except (BadTraceError, TypeError):
            damaged += 1
            connection.execute("DELETE FROM traces WHERE rowid = ?", (rowid,))
        else:
            bare = without_thought(trace)
            stripped += bare != trace
            connection.execute(update, (*row_of(bare, codec), rowid))
    return stripped, damaged


def without_thought(trace: Trace) -> Trace:
    """Returns the trace without the parts that are hidden from users."""
    return replace(
        trace, policy_prompt=(), events=(), long_thought=LongThought((), trace.long_thought.kind)
    )


def _empty_log(connection: sqlite3.Connection, folder: Path) -> None:
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise RunConflictError(
            f"another process reads {folder}, so the thoughts cannot be deleted from the log of "
            "its store; repeat the command when that process has ended"
        )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with closing(lock_for_writing(folder / FILE_NAME, folder.absolute().name)):
        yield


def _unlink(path: Path) -> None:
    with storing(path):
        path.unlink(missing_ok=True)
