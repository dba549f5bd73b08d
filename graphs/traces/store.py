"""The store of a run on one machine: an SQLite file that a killed process leaves whole.

    with TraceStore.open(run_dir, config_hash=config_hash(config), config_yaml=to_yaml(config)) as store:
        if (question.hash, 0) not in store.finished():
            store.record(trace)

Durability. The database is in WAL mode with `synchronous=NORMAL`: a commit is one write to the log and no fsync (about 0.1 ms beside 0.7 ms
of encoding, measured; so `record` may be called from the event loop). What `record` has returned for survives any death of the process,
kill -9 included, because the log then lies in the operating system's cache. After a power cut the last traces since the latest checkpoint
may be missing; the file is never corrupt, and a resumed run asks those questions again. `synchronous=FULL` would close that gap for an
fsync per trace.

A folder holds one run, and one process at a time may write to it; any number may read meanwhile. The folder must lie on a local disk:
WAL needs shared memory. Hidden thought is inside the column `trace` alone, encoded by `AuditCodec`; the other columns are what a user of
the run may see.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from agents.nouns import BadDataError, BadTraceError, RunConflictError, Usage
from configs import ConfigError, difference, from_yaml
from configs.schema import RunOptions
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import SCHEMA_VERSION, Trace

FILE_NAME = "traces.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, config_hash TEXT NOT NULL, config TEXT NOT NULL, schema_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS contents (name TEXT PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS traces (
    run TEXT NOT NULL REFERENCES runs, question_hash TEXT NOT NULL, sample INTEGER NOT NULL,
    task TEXT NOT NULL, question TEXT NOT NULL, status TEXT NOT NULL, answer TEXT, correct INTEGER, summary TEXT NOT NULL,
    usage TEXT NOT NULL, seconds REAL NOT NULL, trace BLOB NOT NULL,
    PRIMARY KEY (run, question_hash, sample)
);
"""
VISIBLE = ("run", "question_hash", "sample", "task", "question", "status", "answer", "correct", "summary", "usage", "seconds")
"""Columns that a user may see."""


class TraceStore:
    """The traces of one run. Made by `open` (to write) or `read`; safe to use from several threads."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, run: str, config_hash: str, *, writer_lock: IO[str] | None = None
    ) -> None:
        self.path = path
        self.run = run
        self.config_hash = config_hash
        self._connection = connection
        self._writer_lock = writer_lock
        self._mutex = threading.RLock()
        self._codec = AuditCodec()

    @classmethod
    def open(cls, run_dir: Path | str, *, config_hash: str, config_yaml: str) -> TraceStore:
        """Opens the store of the run `run_dir` (its name is the folder's) for writing, or makes it.

        `config_yaml` is kept beside the traces; where the hashes differ, the error says in which options the two do.

        Raises:
            RunConflictError: the run was begun with another configuration, or another process is writing to it.
            BadTraceError: the file is no trace store, or one of another schema version.
        """
        path = Path(run_dir) / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        run = _run_name(path)
        lock = _lock_for_writing(path)
        try:
            connection = _connect(path, read_only=False)
            try:
                _begin_or_resume(connection, path, run, config_hash, config_yaml)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            lock.close()
            raise
        return cls(path, connection, run, config_hash, writer_lock=lock)

    @classmethod
    def read(cls, run_dir: Path | str) -> TraceStore:
        """Opens the store of a run for reading, also while it is being written.

        Raises:
            FileNotFoundError: there is no store in `run_dir`.
            BadTraceError: the file is no trace store, or one of another schema version.
        """
        path = Path(run_dir) / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(f"{path.parent} holds no {FILE_NAME}; pass the folder of a run")
        connection = _connect(path, read_only=True)
        try:
            rows = _query(connection, path, "SELECT run, config_hash, schema_version FROM runs")
            if len(rows) != 1:
                raise BadTraceError(f"{path} holds {len(rows)} runs where there should be one")
            _check_schema_version(path, rows[0][2])
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, rows[0][0], rows[0][1])

    def close(self) -> None:
        """Closes the file and lets other processes write. Idempotent."""
        with self._mutex:
            self._connection.close()
            if self._writer_lock is not None:
                self._writer_lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    @property
    def config_yaml(self) -> str:
        """The configuration that the run was begun with."""
        return str(self._rows("SELECT config FROM runs")[0][0])

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM traces")[0][0])

    def finished(self) -> set[tuple[str, int]]:
        """Returns the (question hash, sample) pairs that were recorded: what a resumed run leaves out."""
        return {(question_hash, sample) for question_hash, sample in self._rows("SELECT question_hash, sample FROM traces")}

    def hold_to(self, contents: Mapping[str, str]) -> None:
        """Keeps the hashes of what the configuration only names (weights, rules, calibrations), and holds a resumed run to them.

        Raises:
            RunConflictError: the run was begun with other contents under the same names; nothing is kept.
        """
        kept = dict(self._rows("SELECT name, hash FROM contents"))
        lines = [f"  {name}: {kept[name]} in the run, {found} now" for name, found in contents.items() if kept.get(name, found) != found]
        if lines:
            raise RunConflictError(
                f"run {self.run!r} was begun with other contents under the same names (hashes):\n" + "\n".join(lines) + "\n"
                "a run is of one model and one set of files; put the old ones back to resume it, or choose another run name"
            )
        with self._mutex, self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO contents VALUES (?, ?)", contents.items())

    def record(self, trace: Trace) -> None:
        """Stores a trace; when it returns, no death of the process loses it. A trace is recorded once and never changed.

        Raises:
            ValueError: the trace belongs to another run or configuration, or was recorded before, or the store was opened by `read`.
        """
        if self._writer_lock is None:
            raise ValueError(f"{self.path} was opened for reading; open it with TraceStore.open to record")
        if (trace.run, trace.config_hash) != (self.run, self.config_hash):
            raise ValueError(
                f"the trace belongs to run {trace.run!r} with config hash {trace.config_hash}, the store to run {self.run!r} with "
                f"{self.config_hash}; record a trace in its own run"
            )
        usage = {
            role: [used.prompt_tokens, used.cached_prompt_tokens, used.generated_tokens, used.calls] for role, used in trace.usage.items()
        }
        row = (
            *(trace.run, trace.question.hash, trace.sample, trace.question.task, _utf8(trace.question.text), trace.status),
            *(None if trace.answer is None else _utf8(trace.answer), trace.correct, _utf8(trace.summary)),
            *(json.dumps(usage), trace.seconds, self._codec.dumps(trace)),
        )
        try:
            with self._mutex, self._connection:
                self._connection.execute(f"INSERT INTO traces VALUES ({', '.join('?' * len(row))})", row)
        except sqlite3.IntegrityError:
            raise ValueError(
                f"sample {trace.sample} of question {trace.question.hash} was recorded before and is never overwritten; "
                "leave out what `finished` names"
            ) from None

    def get(self, question_hash: str, sample: int) -> Trace:
        """Returns one trace.

        Raises:
            KeyError: it was not recorded.
            BadTraceError: it was, and cannot be read back.
        """
        key = (self.run, question_hash, sample)
        rows = self._rows("SELECT trace FROM traces WHERE run = ? AND question_hash = ? AND sample = ?", *key)
        if not rows:
            raise KeyError(f"run {self.run!r} holds no sample {sample} of question {question_hash}")
        try:
            return self._codec.loads(rows[0][0])
        except BadTraceError as error:
            raise BadTraceError(f"{self.path}, question {question_hash}, sample {sample}: {error}") from None

    def __iter__(self) -> Iterator[Trace]:
        """Yields the traces by question hash and sample: an order that does not depend on which question finished first.

        One trace is in memory at a time, and the file is not held between two of them.
        """
        for question_hash, sample in sorted(self.finished()):
            yield self.get(question_hash, sample)

    def visible(self) -> Iterator[dict[str, Any]]:
        """Yields what a user may see of each trace, in the order of iteration; hidden thought is not even read.

        Keys: run, question_hash, sample, task, question, status, answer, correct, summary, usage (a list with an entry for each role),
        seconds.
        """
        for row in self._rows(f"SELECT {', '.join(VISIBLE)} FROM traces ORDER BY question_hash, sample"):
            values = dict(zip(VISIBLE, row, strict=True))
            values["correct"] = None if values["correct"] is None else bool(values["correct"])
            names = Usage.__dataclass_fields__
            values["usage"] = [
                {"role": role, **dict(zip(names, counts, strict=True))} for role, counts in json.loads(values["usage"]).items()
            ]
            yield values

    def _rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._mutex:
            return _query(self._connection, self.path, sql, *parameters)


def find_run(run: Path) -> Path:
    """Returns the directory of a run that is given by it, or by the name of one in the default folder of runs.

    Raises:
        BadDataError: there is no such run.
    """
    by_name = RunOptions().output_dir / run
    for folder in (run, by_name):
        if (folder / FILE_NAME).is_file():
            return folder
    raise BadDataError(f"{run} holds no run, and there is none in {by_name}; give the directory of one, or its name")


def _run_name(path: Path) -> str:
    return path.parent.absolute().name


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Opens the file. In a folder that cannot be written to, where WAL cannot make its shared memory, as an immutable file."""
    mode = "rwc" if not read_only else "ro" if os.access(path.parent, os.W_OK) else "ro&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False, timeout=30.0)
    if not read_only:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise BadTraceError(f"{path} is no trace store: {error}") from error
    return connection


def _query(connection: sqlite3.Connection, path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(sql, parameters).fetchall()
    except sqlite3.ProgrammingError:
        raise  # a closed store
    except sqlite3.DatabaseError as error:
        raise BadTraceError(f"{path} is no readable trace store: {error}") from error


def _lock_for_writing(path: Path) -> IO[str]:
    """Returns a file that this process alone holds; the operating system frees it when the process dies, however it dies."""
    lock = path.with_suffix(".lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise RunConflictError(f"another process is writing to run {_run_name(path)!r}; wait for it, or choose another run name") from None
    return lock


def _begin_or_resume(connection: sqlite3.Connection, path: Path, run: str, config_hash: str, config_yaml: str) -> None:
    rows = _query(connection, path, "SELECT run, config_hash, config, schema_version FROM runs")
    if not rows:
        with connection:
            connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (run, config_hash, config_yaml, SCHEMA_VERSION))
        return
    stored_run, stored_hash, stored_yaml, schema_version = rows[0]
    _check_schema_version(path, schema_version)
    if stored_run != run:
        raise RunConflictError(f"{path} is the store of run {stored_run!r}; name the folder so again, or choose another run name")
    if stored_hash != config_hash:
        lines = "\n".join(f"  {line}" for line in _differences(stored_yaml, config_yaml))
        raise RunConflictError(
            f"run {run!r} was begun with another configuration:\n{lines}\n"
            f"its own is the left one; repeat that (graphs.run does so where run={run} is all that it is given), or choose another run name"
        )


def _check_schema_version(path: Path, version: int) -> None:
    if version != SCHEMA_VERSION:
        raise BadTraceError(
            f"{path} has schema version {version}, this version of longthought reads {SCHEMA_VERSION}; record the run again"
        )


def _differences(stored: str, new: str) -> list[str]:
    try:
        return difference(from_yaml(stored), from_yaml(new))
    except ConfigError as error:  # written by another version, whose options were others
        return [f"it cannot be read by this version of longthought: {error}"]


def _utf8(text: str) -> str:
    """Returns the text with what UTF-8 cannot write replaced; the exact text is in the encoded trace."""
    with contextlib.suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-8", "replace").decode()
