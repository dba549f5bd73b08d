"""The SQLite file of a run: its tables, how it is opened, and the translation of its
errors.

There are two kinds of failure. `StorageError`: the file is intact, but the machine
cannot access it (disk full, no permission, a lock). `BadTraceError`: the file is
damaged or is not a trace store.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from agents.files import ELSEWHERE, make_private_file, storage_error, storing
from agents.types import BadTraceError, LongthoughtError, RunConflictError, StorageError

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, config_hash TEXT NOT NULL, config TEXT NOT NULL,
    schema_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS contents (name TEXT PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS questions (hash TEXT PRIMARY KEY, gold_hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deletions (deleted_on TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS traces (
    run TEXT NOT NULL REFERENCES runs, question_hash TEXT NOT NULL, sample INTEGER NOT NULL,
    task TEXT NOT NULL, question TEXT NOT NULL, status TEXT NOT NULL, answer TEXT,
    correct INTEGER, summary TEXT NOT NULL,
    usage TEXT NOT NULL, seconds REAL NOT NULL, trace BLOB NOT NULL, checksum INTEGER,
    PRIMARY KEY (run, question_hash, sample)
);
"""
COMPANIONS = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside an open database."""

_MOST_PATH_BYTES = 500  # SQLite allows 512, and the companion files have longer names
_LITTLE_ROOM = 1 << 20  # bytes; SQLite reports some disk-full failures as I/O errors
_WAIT_S = 30.0
_REFUSALS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.ENOENT,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_PROTOCOL: errno.EBUSY,
    sqlite3.SQLITE_NOLFS: errno.EFBIG,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_AUTH: errno.EACCES,
}
"""SQLite result codes caused by the machine -> errno; all other codes mean a damaged
file."""


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Opens the file; for writing, creates the file and its tables if they are missing.

    In WAL mode SQLite keeps two companion files while the database is open, and only a
    connection with write access removes them. So readers connect with write access,
    too, restricted by `query_only`. In a read-only folder WAL cannot create its shared
    memory; there the file is opened as immutable. Invalid UTF-8, which only damage
    causes, is decoded with surrogates instead of an error, so that one damaged row does
    not hide the others.

    Raises:
        StorageError: the file cannot be opened, created or written.
        BadTraceError: the file is damaged, or no trace store.
    """
    if not read_only:
        _refuse_lone_log(path)
        make_private_file(path)
    is_writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    mode = "rw" if is_writable or not read_only else "ro" if _is_shared(path) else "ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with translated(path):
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=_WAIT_S)
    connection.text_factory = _text
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        try:
            with translated(path):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                _require_tables(connection)
                connection.executescript(_TABLES)
                if not has_checksums(connection):
                    connection.execute("ALTER TABLE traces ADD COLUMN checksum INTEGER")
        except BaseException:
            connection.close()
            raise
    return connection


def _require_tables(connection: sqlite3.Connection) -> None:
    """Rejects a file that has lost a table which every version fills; recreating the
    table would hide the loss.

    Raises:
        sqlite3.DatabaseError: names the table.
    """
    for name, other in (("runs", "traces"), ("traces", "runs")):
        is_left = (
            has_table(connection, other)
            and connection.execute(f"SELECT 1 FROM {other} LIMIT 1").fetchone() is not None
        )
        if is_left and not has_table(connection, name):
            raise sqlite3.DatabaseError(f"no such table: {name}")


def _refuse_lone_log(path: Path) -> None:
    """Rejects a missing or empty file whose log exists: SQLite would delete the log,
    with the traces that only the log holds.

    Raises:
        StorageError: such a log exists.
    """
    log = Path(f"{path}-wal")
    with storing(path):
        if log.is_file() and log.stat().st_size and not (path.exists() and path.stat().st_size):
            what = f"it is missing or empty, but its log {log.name}, which may hold traces, exists"
            raise StorageError(path, what, f"restore it, remove the log as well, or {ELSEWHERE}")


def has_checksums(connection: sqlite3.Connection) -> bool:
    """Whether the table of traces has a checksum column; stores of earlier versions
    lack it.
    """
    return any(row[1] == "checksum" for row in connection.execute("PRAGMA table_info(traces)"))


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the table exists; stores of earlier versions lack some tables."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return found.fetchone() is not None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translates SQLite errors about the file `path`, raised inside the `with`, into
    this project's errors.

    Errors for a closed connection or a violated constraint are mistakes of the caller
    and propagate unchanged.

    Raises:
        StorageError, BadTraceError: see the module docstring.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.Error as error:
        raise error_of(path, error) from error
    except UnicodeDecodeError as error:  # of a damaged name in the text of SQLite's own error
        raise error_of(path, sqlite3.DatabaseError("its schema is malformed")) from error


def error_of(path: Path, error: sqlite3.Error) -> LongthoughtError:
    """Returns this project's error for an error of SQLite."""
    number = _REFUSALS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if number is None:
        return BadTraceError(
            f"{path} is damaged, or is not a trace store ({error}); recover its intact rows with "
            f"`sqlite3 {path} .recover`, or choose another run name"
        )
    if number == errno.EBUSY:
        what = f"another program has held it locked for {_WAIT_S:.0f} s"
        return StorageError(path, what, f"end that program, or {ELSEWHERE}")
    if len(os.fsencode(path.absolute())) > _MOST_PATH_BYTES:
        what = f"its path has more than {_MOST_PATH_BYTES} bytes, which SQLite does not take"
        return StorageError(path, what, f"choose a shorter run.name, or {ELSEWHERE}")
    if number == errno.EIO and _is_full(path.parent):
        number = errno.ENOSPC
    if number == errno.ENOENT:
        number = _why_not_opened(path)
    name = getattr(error, "sqlite_errorname", "")
    return storage_error(path, OSError(number, f"{os.strerror(number)} ({name}: {error})"))


def lock_for_writing(path: Path, run: str) -> IO[str]:
    """Returns an open file with an exclusive lock; the operating system releases the
    lock however the process dies.

    Raises:
        RunConflictError: another process holds the lock.
        StorageError: the lock file cannot be created.
    """
    place = path.with_suffix(".lock")
    make_private_file(place)
    with storing(place):
        lock = place.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise RunConflictError(
                f"another process is writing to run {run!r}; wait for it, or choose another run "
                "name"
            ) from None
        except BaseException:
            lock.close()
            raise
    return lock


def _is_shared(path: Path) -> bool:
    """Whether the file can be read while a writer has it open: WAL needs its
    shared-memory file.
    """
    if os.access(path.parent, os.W_OK):
        return True
    return all(os.access(f"{path}{end}", os.R_OK) for end in ("-wal", "-shm"))


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LITTLE_ROOM
    return False


def _why_not_opened(path: Path) -> int:
    """Returns the errno of opening the file, which SQLite does not report."""
    try:
        with path.open("rb+"):
            return errno.EACCES if not os.access(path.parent, os.W_OK) else errno.EIO
    except OSError as error:
        return error.errno or errno.EIO


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
