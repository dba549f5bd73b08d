"""The store of a run on one machine: an SQLite file that survives a killed process.

    with TraceStore.open(run_dir, config_hash=HASH, config_yaml=YAML) as store:
        if (question.hash, 0) not in store.finished():
            store.record(trace)

Durability. The database is in WAL mode with `synchronous=NORMAL`: a commit is one write
to the log and no fsync (about 0.1 ms beside 0.7 ms of encoding, measured; so `record`
may be called from the event loop). Once `record` has returned, the trace survives any
death of the process, kill -9 included, because the log is in the operating system's
cache. After a power cut the traces since the latest checkpoint may be missing; the file
is never corrupt, and a resumed run asks those questions again. `synchronous=FULL` would
close that gap at the cost of an fsync per trace.

A folder holds one run. One process at a time may write to it; any number may read at
the same time. The folder must lie on a local disk: WAL needs shared memory.

Privacy. Only the column `trace` holds hidden thought, encoded by `AuditCodec`; a user
of the run may see the other columns. Encoded is not encrypted: read access to the file
gives access to the thought. So a store is created readable by its owner alone (0600 in
a 0700 folder), and `graphs.traces.deletion` removes the thoughts of a run.

Damage. A row has a CRC-32 over all its columns. Readers log a damaged row and skip it;
`open` removes it, so that the question is asked again. Rows from versions without
checksums are verified by decoding, and get a checksum when the run is resumed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from agents.files import ELSEWHERE, make_folder, storing
from agents.types import (
    BadDataError,
    BadTraceError,
    Question,
    RunConflictError,
    StorageError,
    ThoughtsDeletedError,
    Usage,
)
from configs import ConfigError, RunConfig, config_hash, difference, from_yaml, to_yaml
from configs.schema import RunOptions
from graphs.traces.codec import AuditCodec
from graphs.traces.columns import COLUMNS, VISIBLE, checksum_of, row_of
from graphs.traces.database import (
    connect,
    error_of,
    has_checksums,
    has_table,
    lock_for_writing,
    translated,
)
from graphs.traces.trace import SCHEMA_VERSION, Trace

FILE_NAME = "traces.sqlite"

_log = logging.getLogger(__name__)
_SHOWN = 5  # most differences listed in an error


class TraceKey(NamedTuple):
    """Names one trace of a run."""

    question_hash: str
    sample: int


class TraceStore:
    """The traces of one run. Created by `open` (to write) or `read`; thread-safe."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        run: str,
        config_hash: str,
        *,
        writer_lock: IO[str] | None = None,
    ) -> None:
        self.path = path
        self.run = run
        self.config_hash = config_hash
        self.damaged: dict[TraceKey, str] = {}
        """Damaged rows with the reason; a reader skips them, a writer removes them."""
        self._connection = connection
        self._writer_lock = writer_lock
        self._file = os.stat(path)
        self._mutex = threading.RLock()
        self._codec = AuditCodec()
        checksum = "checksum" if has_checksums(connection) else "NULL"
        self._columns = f"{', '.join(COLUMNS)}, {checksum}"

    @classmethod
    def open(cls, run_dir: Path | str, *, config_hash: str, config_yaml: str) -> TraceStore:
        """Opens the store in the folder `run_dir`, which names the run, for writing;
        creates it if missing.

        `config_yaml` is stored beside the traces; if the hashes differ, the error lists
        the options that differ. All rows are read, and damaged rows are removed (see
        `damaged`).

        Raises:
            RunConflictError: the run was begun with another configuration, or another
                process is writing to it.
            BadTraceError: the whole file is damaged, is not a trace store, or has
                another schema version.
            StorageError: the folder or the file cannot be created or written.
        """
        path = Path(run_dir) / FILE_NAME
        make_folder(path.parent)
        run = _run_name(path)
        lock = lock_for_writing(path, run)
        try:
            connection = connect(path, read_only=False)
            try:
                with translated(path):
                    _begin_or_resume(connection, path, run, config_hash, config_yaml)
                    store = cls(path, connection, run, config_hash, writer_lock=lock)
                    store._remove_damaged()
            except BaseException:
                connection.close()
                raise
        except BaseException:
            lock.close()
            raise
        return store

    @classmethod
    def read(cls, run_dir: Path | str) -> TraceStore:
        """Opens the store of a run for reading, also while another process writes it.

        Raises:
            FileNotFoundError: there is no store in `run_dir`.
            BadTraceError: the whole file is damaged, is not a trace store, or has
                another schema version.
            StorageError: the file cannot be read.
        """
        path = Path(run_dir) / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(f"{path.parent} holds no {FILE_NAME}; pass the folder of a run")
        connection = connect(path, read_only=True)
        try:
            with translated(path):
                run, config_hash, _, schema_version = _the_run(connection, path)
                check_schema_version(path, schema_version)
                return cls(path, connection, run, config_hash)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Closes the file and releases the writer lock. Idempotent."""
        with self._mutex:
            self._connection.close()
            if self._writer_lock is not None:
                self._writer_lock.close()

    def remove(self) -> None:
        """Closes the store of a run that recorded nothing, and removes its file.

        Raises:
            ValueError: the store holds traces, or was opened by `read`.
            StorageError: the file cannot be removed.
        """
        if self._writer_lock is None or len(self):
            raise ValueError(
                f"{self.path} is read only, or holds traces; longthought delete deletes thoughts"
            )
        with self._mutex, storing(self.path):
            self._connection.close()
            for end in ("", "-wal", "-shm"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            self._writer_lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def config_yaml(self) -> str:
        """The configuration of the run as YAML."""
        return str(self._rows("SELECT config FROM runs")[0][0])

    @property
    def config(self) -> RunConfig:
        """The configuration of the run.

        Raises:
            BadTraceError: it is damaged, or from a version with other options.
        """
        try:
            return from_yaml(self.config_yaml)
        except ConfigError as error:
            raise BadTraceError(
                f"the configuration that {self.path} holds cannot be read by this version of "
                f"longthought: {error}\n"
                "read the run with the version that wrote it, put back a copy, or record the run "
                "again"
            ) from None

    @property
    def thoughts_deleted_on(self) -> str | None:
        """The day (YYYY-MM-DD) on which the run's thoughts were deleted; None if they
        were not.
        """
        with self._mutex, translated(self.path):
            if not has_table(self._connection, "deletions"):
                return None
            row = self._connection.execute("SELECT max(deleted_on) FROM deletions").fetchone()
        return None if row[0] is None else str(row[0])

    def require_thoughts(self) -> None:
        """Raises ThoughtsDeletedError if the run's thoughts were deleted."""
        day = self.thoughts_deleted_on
        if day is not None:
            raise ThoughtsDeletedError(
                f"the thoughts of run {self.run!r} were deleted on {day}; metrics.json, "
                "report.md, graphs.compare and graphs.export without --reveal still show what a "
                "user may see; record a new run to have thoughts again",
                deleted_on=day,
            )

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM traces")[0][0])

    def finished(self) -> set[TraceKey]:
        """Returns the recorded (question hash, sample) pairs, which a resumed run
        skips.
        """
        return {
            TraceKey(*row)
            for row in self._rows("SELECT question_hash, sample FROM traces NOT INDEXED")
        }

    def require_same_config(self, config_hash: str, config_yaml: str) -> None:
        """Raises RunConflictError, listing the differences, if the run was begun with
        another configuration.
        """
        _require_config(self.run, (self.config_hash, self.config_yaml), (config_hash, config_yaml))

    def require_same_contents(self, contents: Mapping[str, str]) -> None:
        """Stores the hashes of files that the configuration only names (weights, rules,
        calibrations), and checks a resumed run against them.

        Raises:
            RunConflictError: the run was begun with other contents under the same
                names; nothing is stored.
        """
        kept = dict(self._rows("SELECT name, hash FROM contents"))
        lines = [
            f"  {name}: {kept[name]} in the run, {found} now"
            for name, found in contents.items()
            if kept.get(name, found) != found
        ]
        if lines:
            raise RunConflictError(
                f"run {self.run!r} was begun with other contents under the same names (hashes):\n"
                + "\n".join(lines)
                + "\n"
                "a run has one model and one set of files; restore the old ones to resume it, "
                "or choose another run name"
            )
        with self._writing():
            self._connection.executemany(
                "INSERT OR IGNORE INTO contents VALUES (?, ?)", contents.items()
            )

    def require_same_questions(self, questions: Sequence[Question]) -> None:
        """Stores the hashes of the run's questions and golds, and checks a resumed run
        against them, in any order.

        A run from a version that stored none adopts these.

        Raises:
            RunConflictError: a question was added, removed or edited, or a gold
                changed; names the first few.
        """
        now = {question.hash: _gold_hash(question) for question in questions}
        kept = dict(self._rows("SELECT hash, gold_hash FROM questions"))
        if not kept:
            with self._writing():
                self._connection.executemany("INSERT INTO questions VALUES (?, ?)", now.items())
        elif kept != now:
            texts = {question.hash: question.text for question in questions}
            added = [key for key in now if key not in kept]
            removed = [key for key in kept if key not in now]
            changed = [key for key in now if kept.get(key, now[key]) != now[key]]
            lines = [f"  added: {_named(key, texts)}" for key in added[:_SHOWN]]
            if removed:
                texts |= dict(self._rows("SELECT question_hash, question FROM traces"))
            lines += [f"  removed: {_named(key, texts)}" for key in removed[:_SHOWN]]
            lines += [f"  with another gold: {_named(key, texts)}" for key in changed[:_SHOWN]]
            raise RunConflictError(
                f"run {self.run!r} was begun with other questions ({len(added)} added, "
                f"{len(removed)} removed, {len(changed)} with "
                "another gold):\n" + "\n".join(lines) + "\n"
                "a run has one set of questions; restore the old data (task.path) to resume "
                "it, or choose another run name"
            )

    def record(self, trace: Trace) -> None:
        """Stores a trace; once it returns, the trace survives a killed process. A trace
        is never overwritten.

        Raises:
            ValueError: the trace belongs to another run or configuration, or the store
                was opened by `read`.
            RunConflictError: this sample of the question was recorded before.
            BadTraceError: the file has other tables.
            StorageError: the file cannot be written; recorded traces stay.
        """
        if self._writer_lock is None:
            raise ValueError(
                f"{self.path} was opened for reading; open it with TraceStore.open to record"
            )
        if (trace.run, trace.config_hash) != (self.run, self.config_hash):
            raise ValueError(
                f"the trace belongs to run {trace.run!r} with config hash {trace.config_hash}, the "
                f"store to run {self.run!r} with {self.config_hash}; record a trace in its own run"
            )
        row = row_of(trace, self._codec)
        self._require_place()
        try:
            with self._writing():
                self._connection.execute(_INSERT, row)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname not in (
                "SQLITE_CONSTRAINT_PRIMARYKEY",
                "SQLITE_CONSTRAINT_UNIQUE",
            ):
                raise error_of(self.path, error) from error
            raise RunConflictError(
                f"sample {trace.sample} of question {trace.question.hash} was recorded before in "
                f"run {self.run!r}, which never overwrites; "
                "leave out what `finished` names, and let one process write to a run"
            ) from None

    def get(self, question_hash: str, sample: int) -> Trace:
        """Returns one trace.

        Raises:
            KeyError: the trace was not recorded.
            BadTraceError: the trace cannot be read back.
            ThoughtsDeletedError: see `require_thoughts`.
        """
        self.require_thoughts()
        keys = (self.run, question_hash, sample)
        where = "run = ? AND question_hash = ? AND sample = ?"
        rows = self._rows(f"SELECT {self._columns} FROM traces WHERE {where}", *keys)
        if not rows:
            raise KeyError(f"run {self.run!r} holds no sample {sample} of question {question_hash}")
        *row, checksum = rows[0]
        if (reason := self._damage_of(row, checksum)) is not None:
            raise BadTraceError(f"{self.path}, question {question_hash}, sample {sample}: {reason}")
        return self._decode(row)

    def __iter__(self) -> Iterator[Trace]:
        """Yields the traces ordered by question hash and sample, so the order does not
        depend on which question finished first.

        One trace is in memory at a time, and the file is not locked between two traces.
        A damaged trace is skipped with a warning (see `damaged`).

        Raises:
            ThoughtsDeletedError: see `require_thoughts`.
            BadTraceError: this version cannot read an intact row.
        """
        self.require_thoughts()
        return map(self._decode, self._intact_rows())

    def outcomes(self) -> Iterator[Trace]:
        """Yields the traces like iteration, but also after their thoughts were deleted:
        events, long thought and policy prompt are then empty.
        """
        return map(self._decode, self._intact_rows())

    def visible(self) -> Iterator[dict[str, Any]]:
        """Yields the user-visible columns of each trace, in the order of iteration;
        hidden thought is not decoded.

        Keys: run, question_hash, sample, task, question, status, answer, correct,
        summary, usage (a list with an entry for each role), seconds.
        """
        names = Usage.__dataclass_fields__
        for row in self._intact_rows():
            values = dict(zip(VISIBLE, row[:-1], strict=True))
            values["correct"] = None if values["correct"] is None else bool(values["correct"])
            values["usage"] = [
                {"role": role, **dict(zip(names, counts, strict=True))}
                for role, counts in json.loads(values["usage"]).items()
            ]
            yield values

    def _intact_rows(self) -> Iterator[list[Any]]:
        """Yields the intact rows in order, with the columns of `COLUMNS`; adds the
        others to `damaged`.
        """
        known = len(self.damaged)
        for rowid, question_hash, sample in self._rows(
            "SELECT rowid, question_hash, sample FROM traces NOT INDEXED ORDER BY question_hash, "
            "sample"
        ):
            key = TraceKey(question_hash, sample)
            row = self._row_or_damage(rowid, key)
            if isinstance(row, str):
                self._note_damage(key, f"left out: {row}")
            elif row is not None:
                yield row
        if len(self.damaged) > known:
            _log.warning(
                "%s: %d of %d traces are damaged and left out; graphs.run asks their questions "
                "again when run %r is resumed",
                *(self.path, len(self.damaged), len(self), self.run),
            )

    def _row_or_damage(self, rowid: int, key: TraceKey) -> list[Any] | str | None:
        """Returns a row, or a description of its damage; None if a writer removed it
        meanwhile.
        """
        try:
            rows = self._rows(f"SELECT {self._columns} FROM traces WHERE rowid = ?", rowid)
        except BadTraceError as error:
            return str(error)
        if not rows:
            return "its row has lost its number" if self._rows(_FIND, *key) else None
        *row, checksum = rows[0]
        if tuple(row[1:3]) != key:
            return "its row has the number of another one"
        return self._damage_of(row, checksum) or row

    def _remove_damaged(self) -> None:
        """Removes the damaged rows, and adds checksums to rows from versions without
        them.

        Raises:
            BadTraceError: the file itself is damaged, not only rows; it is left
                unchanged.
        """
        if (found := self._connection.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise sqlite3.DatabaseError(*found)
        damaged: list[tuple[int]] = []
        unsigned: list[tuple[int, int]] = []
        for rowid, *row, checksum in self._connection.execute(
            f"SELECT rowid, {self._columns} FROM traces NOT INDEXED"
        ):
            if (reason := self._damage_of(row, checksum)) is not None:
                damaged.append((rowid,))
                self._note_damage(
                    TraceKey(row[1], row[2]),
                    f"removed (the question will be asked again): {reason}",
                )
            elif checksum is None:
                unsigned.append((checksum_of(row), rowid))
        if damaged or unsigned:
            with self._writing():
                self._connection.executemany("DELETE FROM traces WHERE rowid = ?", damaged)
                self._connection.executemany(
                    "UPDATE traces SET checksum = ? WHERE rowid = ?", unsigned
                )

    def _damage_of(self, row: Sequence[Any], checksum: int | None) -> str | None:
        """Returns a description of the damage of a row; None if it is intact."""
        if not isinstance(row[-1], bytes):
            return "its trace is missing"
        try:
            if checksum is not None:
                return None if checksum_of(row) == checksum else "its checksum does not match"
            trace = self._codec.loads(row[-1])
            if tuple(row[:3]) != (trace.run, trace.question.hash, trace.sample):
                return "it holds the trace of another question"
            if not all(
                len(counts) == len(Usage.__dataclass_fields__)
                for counts in json.loads(row[9]).values()
            ):
                return "its usage is incomplete"
        except (BadTraceError, AttributeError, TypeError, ValueError, RecursionError) as error:
            return str(error)
        return None

    def _note_damage(self, key: TraceKey, what: str) -> None:
        if key not in self.damaged:
            self.damaged[key] = what
            _log.warning(
                "%s: the trace of question %s, sample %s, is damaged and was %s",
                self.path,
                *key,
                what,
            )

    def _decode(self, row: Sequence[Any]) -> Trace:
        try:
            return self._codec.loads(row[-1])
        except BadTraceError as error:
            raise BadTraceError(
                f"{self.path}, question {row[1]}, sample {row[2]}: {error}"
            ) from None

    def _require_place(self) -> None:
        """Raises StorageError if the file was removed or replaced: SQLite would go on
        writing to the unlinked file.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            found = None
        if found is None or (found.st_ino, found.st_dev) != (self._file.st_ino, self._file.st_dev):
            what = "it was removed or replaced while the run was writing to it"
            raise StorageError(self.path, what, f"put it back, or {ELSEWHERE}")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction, exclusive among the threads of this process."""
        with self._mutex, translated(self.path), self._connection:
            yield

    def _rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._mutex, translated(self.path):
            return self._connection.execute(sql, parameters).fetchall()


_FIND = "SELECT 1 FROM traces NOT INDEXED WHERE question_hash = ? AND sample = ?"
_INSERT = (
    f"INSERT INTO traces ({', '.join(COLUMNS)}, checksum) VALUES "
    f"({', '.join('?' * (len(COLUMNS) + 1))})"
)


def find_run(run: Path) -> Path:
    """Returns the directory of a run, given the directory or the name of a run in the
    default folder of runs.

    Raises:
        BadDataError: there is no such run.
    """
    by_name = RunOptions().output_dir / run
    for folder in (run, by_name):
        if (folder / FILE_NAME).is_file():
            return folder
    raise BadDataError(
        f"neither {run} nor {by_name} holds a run; give the directory or the name of a run"
    )


def _run_name(path: Path) -> str:
    return path.parent.absolute().name


def _begin_or_resume(
    connection: sqlite3.Connection, path: Path, run: str, config_hash: str, config_yaml: str
) -> None:
    if not any(
        connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]
        for table in ("runs", "traces")
    ):
        with connection:
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?)",
                (run, config_hash, config_yaml, SCHEMA_VERSION),
            )
        return
    stored_run, stored_hash, stored_yaml, schema_version = _the_run(connection, path)
    check_schema_version(path, schema_version)
    if stored_run != run:
        raise RunConflictError(
            f"{path} is the store of run {stored_run!r}; rename its folder to that, or choose "
            "another run name"
        )
    _require_config(run, (stored_hash, stored_yaml), (config_hash, config_yaml))


def _require_config(run: str, stored: tuple[str, str], given: tuple[str, str]) -> None:
    """Raises RunConflictError if two configurations, given as (hash, YAML), differ."""
    if stored[0] != given[0]:
        if _is_of_earlier_version(*stored):
            raise RunConflictError(
                f"run {run!r} was begun by an earlier version of longthought, which had other "
                "options: its traces can be read, but it cannot be resumed; choose another run "
                "name"
            )
        lines = "\n".join(f"  {line}" for line in _differences(stored[1], given[1]))
        raise RunConflictError(
            f"run {run!r} was begun with another configuration:\n{lines}\n"
            f"the left value is the run's own; use it (graphs.run run={run} without other "
            "options does), or choose another run name"
        )


def _is_of_earlier_version(stored_hash: str, stored_yaml: str) -> bool:
    """Whether an earlier version with other options wrote the configuration."""
    try:
        config = from_yaml(stored_yaml)
    except ConfigError:
        return False
    return to_yaml(config) != stored_yaml and config_hash(config) != stored_hash


def _the_run(connection: sqlite3.Connection, path: Path) -> tuple[str, str, str, int]:
    """Returns the row of the run: its name, configuration hash, configuration and
    schema version.

    Raises:
        BadTraceError: the table does not hold exactly one run.
    """
    rows: list[tuple[str, str, str, int]] = connection.execute(
        "SELECT run, config_hash, config, schema_version FROM runs"
    ).fetchall()
    if len(rows) != 1:
        raise error_of(
            path, sqlite3.DatabaseError(f"it holds {len(rows)} runs where there should be one")
        )
    return rows[0]


def check_schema_version(path: Path, version: int) -> None:
    """Raises BadTraceError if this version of longthought cannot read stores of that
    schema version.
    """
    if version != SCHEMA_VERSION:
        raise BadTraceError(
            f"{path} has schema version {version}, this version of longthought reads "
            f"{SCHEMA_VERSION}; record the run again"
        )


def _differences(stored: str, new: str) -> list[str]:
    try:
        return difference(from_yaml(stored), from_yaml(new)) or [
            "no option differs and its hash does: the store is damaged"
        ]
    except ConfigError as error:  # written by a version with other options
        return [f"it cannot be read by this version of longthought: {error}"]


def _gold_hash(question: Question) -> str:
    return (
        ""
        if question.gold is None
        else hashlib.sha256(question.gold.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    )


def _named(question_hash: str, texts: Mapping[str, str]) -> str:
    """Returns a question's hash, and the beginning of its text if known."""
    text = " ".join(texts.get(question_hash, "").split())
    return (
        f"{question_hash} {text[:60]!r}{' ...' if len(text) > 60 else ''}"
        if text
        else question_hash
    )
