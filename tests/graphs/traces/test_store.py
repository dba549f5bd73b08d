"""The store: what was recorded stays, whatever happens to the process; what does not
belong is refused.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agents.types import BadTraceError, Question, RunConflictError, StorageError
from configs import compose, config_hash, to_yaml
from graphs.traces.codec import AuditCodec
from graphs.traces.store import FILE_NAME, TraceKey, TraceStore
from graphs.traces.trace import Trace
from tests.graphs.traces.samples import ordinary_trace
from tests.graphs.tree.logs import QUESTION

REPOSITORY = Path(__file__).parents[3]
CANARY = "step 0: "
YAML = to_yaml(compose(["search=best_of_n", "search.num_samples=4"]))


def trace_of(index: int, run: str = "first") -> Trace:
    return replace(ordinary_trace(index, num_nodes=3, num_tokens=4), run=run)


def open_store(run_dir: Path, config_hash: str = "c0ffee", config_yaml: str = YAML) -> TraceStore:
    return TraceStore.open(run_dir, config_hash=config_hash, config_yaml=config_yaml)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "first"


@pytest.fixture
def store(run_dir: Path) -> Iterator[TraceStore]:
    with open_store(run_dir) as store:
        yield store


def test_what_was_recorded_is_read_back_equal_and_in_one_order(
    store: TraceStore, run_dir: Path
) -> None:
    traces = [trace_of(index) for index in range(7)] + [replace(trace_of(3), sample=1)]
    for trace in traces:
        store.record(trace)
    in_order = sorted(traces, key=lambda trace: (trace.question.hash, trace.sample))
    assert list(store) == in_order and len(store) == 8
    store.close()
    with TraceStore.read(run_dir) as reader:
        assert list(reader) == in_order
        assert reader.run == "first" and reader.config_yaml == YAML


def test_finished_is_what_a_resumed_run_leaves_out(store: TraceStore, run_dir: Path) -> None:
    trace = trace_of(0)
    assert store.finished() == set()
    store.record(trace)
    store.close()
    with open_store(run_dir) as resumed:
        assert resumed.finished() == {(trace.question.hash, 0)}


def test_a_trace_is_never_overwritten(store: TraceStore) -> None:
    trace = trace_of(0)
    store.record(trace)
    with pytest.raises(
        RunConflictError, match=f"sample 0 of question {trace.question.hash} was recorded before"
    ):
        store.record(replace(trace, summary="Another one."))
    assert list(store) == [trace]


@pytest.mark.parametrize("change", [{"run": "second"}, {"config_hash": "bad"}])
def test_a_trace_of_another_run_is_refused(store: TraceStore, change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="record a trace in its own run"):
        store.record(replace(trace_of(0), **change))  # type: ignore[arg-type]


def test_another_configuration_is_refused_with_the_difference(
    store: TraceStore, run_dir: Path
) -> None:
    store.record(trace_of(0))
    store.close()
    with pytest.raises(
        RunConflictError,
        match=r"run 'first' was begun with another "
        r"configuration:\n  search.num_samples: 4 -> 8",
    ):
        open_store(run_dir, "bad", YAML.replace("num_samples: 4", "num_samples: 8"))
    with open_store(run_dir) as resumed:
        assert len(resumed) == 1


def test_a_configuration_of_another_version_is_refused(store: TraceStore, run_dir: Path) -> None:
    store.close()
    with pytest.raises(
        RunConflictError,
        match=r"cannot be read by this version of "
        r"longthought: .*num_smaples",
    ):
        open_store(run_dir, "bad", YAML.replace("num_samples", "num_smaples"))


def test_a_run_of_an_earlier_version_is_read_and_not_resumed(run_dir: Path) -> None:
    config = compose(["critic=token", "engine=openai"])
    old = to_yaml(config).replace("  reason: false\n", "  reason: false\n  flip_rate: 0.0\n", 1)
    assert old != to_yaml(config)
    open_store(run_dir, "the hash of that version", old).close()
    with pytest.raises(RunConflictError, match="by an earlier version"):
        open_store(run_dir, config_hash(config), to_yaml(config))
    with TraceStore.read(run_dir) as stored:
        assert stored.config.critic == config.critic


def test_a_run_is_held_to_the_contents_that_it_was_begun_with(
    store: TraceStore, run_dir: Path
) -> None:
    store.require_same_contents({"weights of the policy": "aaaa", "safety.rules": "bbbb"})
    store.close()
    with open_store(run_dir) as resumed:
        resumed.require_same_contents({"weights of the policy": "aaaa", "safety.rules": "bbbb"})
        with pytest.raises(
            RunConflictError,
            match=r"weights of the policy: aaaa in the run, cccc "
            r"now\n.*restore the old ones",
        ):
            resumed.require_same_contents(
                {
                    "weights of the policy": "cccc",
                    "safety.rules": "bbbb",
                    "critic.calibration": "none",
                }
            )
        resumed.require_same_contents(
            {"critic.calibration": "dddd"}
        )  # the refused call has left nothing behind


def test_one_process_writes_and_others_read_meanwhile(store: TraceStore, run_dir: Path) -> None:
    with pytest.raises(RunConflictError, match="another process is writing to run 'first'"):
        open_store(run_dir)
    with TraceStore.read(run_dir) as reader:
        assert len(reader) == 0
        store.record(trace_of(0))
        assert len(reader) == 1
        with pytest.raises(ValueError, match="opened for reading"):
            reader.record(trace_of(1))


def test_a_reader_leaves_no_file_behind_and_cannot_write(store: TraceStore, run_dir: Path) -> None:
    store.record(trace_of(0))
    store.close()
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    with TraceStore.read(run_dir) as reader:
        assert len(list(reader)) == 1
        with pytest.raises(StorageError):
            reader.require_same_contents({"weights of the policy": "aaaa"})
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


def test_a_folder_that_cannot_be_written_to_is_readable(
    store: TraceStore, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(trace_of(0))
    store.close()
    # root may write anywhere, so permissions alone would not tell
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with TraceStore.read(run_dir) as reader:
        assert list(reader) == [trace_of(0)]


def test_a_renamed_run_is_refused(store: TraceStore, run_dir: Path) -> None:
    store.close()
    with pytest.raises(RunConflictError, match="is the store of run 'first'"):
        open_store(run_dir.rename(run_dir.with_name("second")))


def test_no_store_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"holds no traces.sqlite; pass the "
        r"folder of a run",
    ):
        TraceStore.read(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"this is no database at all, is it?" * 99)
    with pytest.raises(BadTraceError, match="file is not a database"):
        TraceStore.read(tmp_path)
    with pytest.raises(BadTraceError, match="file is not a database"):
        open_store(tmp_path)


def flipped(blob: bytes) -> bytes:
    middle = len(blob) // 2
    return blob[:middle] + bytes([blob[middle] ^ 0x10]) + blob[middle + 1 :]


DAMAGES: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "a flipped bit": ("trace", flipped),
    "a truncated blob": ("trace", lambda blob: blob[:-30]),
    "no blob": ("trace", lambda blob: None),
    "text for a blob": ("trace", lambda blob: "text"),
    "broken JSON": ("trace", lambda blob: zlib.compress(b'{"run": [')),
    "nested JSON": ("trace", lambda blob: zlib.compress(b"[" * 99_999)),
    "another trace": ("trace", lambda blob: AuditCodec().dumps(trace_of(99))),
    "broken usage": ("usage", lambda blob: "{"),
    "usage of another kind": ("usage", lambda blob: "[1]"),
    "nested usage": ("usage", lambda blob: "[" * 99_999),
    "text that is not UTF-8": ("summary", lambda blob: b"\xff\xfe"),
}


def damage(
    run_dir: Path, column: str, make: Callable[[bytes], object]
) -> tuple[TraceKey, list[TraceKey]]:
    """Damages one trace, and returns its key and those of the others."""
    connection = sqlite3.connect(run_dir / FILE_NAME)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'trace BLOB NOT NULL', 'trace BLOB') WHERE "
        "name = 'traces'"
    )
    connection.commit()
    connection.close()
    connection = sqlite3.connect(run_dir / FILE_NAME)
    select = "SELECT question_hash, sample, trace FROM traces ORDER BY question_hash"
    (question_hash, sample, blob), *others = connection.execute(select).fetchall()
    value = make(blob)
    as_text = "CAST(? AS TEXT)" if isinstance(value, bytes) and column != "trace" else "?"
    with connection:
        connection.execute(
            f"UPDATE traces SET {column} = {as_text} WHERE question_hash = ?",
            (value, question_hash),
        )
    connection.close()
    return TraceKey(question_hash, sample), [TraceKey(*other[:2]) for other in others]


def as_of_before_checksums(run_dir: Path) -> None:
    """Makes the store what versions without checksums, held questions and deletions
    wrote.
    """
    connection = sqlite3.connect(run_dir / FILE_NAME)
    with connection:
        connection.execute("ALTER TABLE traces DROP COLUMN checksum")
        connection.execute("DROP TABLE questions")
        connection.execute("DROP TABLE deletions")
    connection.close()


@pytest.mark.parametrize("older", [False, True], ids=["with checksums", "without"])
@pytest.mark.parametrize("kind", DAMAGES)
def test_one_damaged_row_is_named_left_out_and_asked_again(
    store: TraceStore, run_dir: Path, kind: str, older: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if older and kind == "text that is not UTF-8":
        pytest.skip("a summary without a checksum is what it is")
    traces = [trace_of(index) for index in range(3)]
    for trace in traces:
        store.record(trace)
    store.close()
    if older:
        as_of_before_checksums(run_dir)
    lost, kept = damage(run_dir, *DAMAGES[kind])
    with TraceStore.read(run_dir) as reader:
        assert [trace.question.hash for trace in reader] == [key.question_hash for key in kept]
        assert [row["question_hash"] for row in reader.visible()] == [
            key.question_hash for key in kept
        ]
        assert list(reader.damaged) == [lost]
        with pytest.raises(BadTraceError, match=f"question {lost.question_hash}, sample 0"):
            reader.get(*lost)
    assert lost.question_hash in caplog.text
    with open_store(run_dir) as resumed:
        assert list(resumed.damaged) == [lost] and resumed.finished() == set(kept)
        (again,) = (trace for trace in traces if trace.question.hash == lost.question_hash)
        resumed.record(again)
    with open_store(run_dir) as resumed:
        assert not resumed.damaged and sorted(trace.question.text for trace in resumed) == [
            trace.question.text for trace in traces
        ]


def test_a_store_without_checksums_is_read_and_gets_them_on_resume(
    store: TraceStore, run_dir: Path
) -> None:
    for index in range(3):
        store.record(trace_of(index))
    before, visible = list(store), list(store.visible())
    store.close()
    as_of_before_checksums(run_dir)
    with TraceStore.read(run_dir) as reader:
        assert list(reader) == before and list(reader.visible()) == visible
        assert reader.thoughts_deleted_on is None
    with open_store(run_dir) as resumed:
        resumed.require_same_questions([trace.question for trace in before])
        resumed.record(trace_of(3))
        assert list(resumed)[:4] and not resumed.damaged
    connection = sqlite3.connect(run_dir / FILE_NAME)
    assert connection.execute("SELECT count(checksum) FROM traces").fetchone() == (4,)
    connection.close()


def change(run_dir: Path, *statements: str) -> None:
    connection = sqlite3.connect(run_dir / FILE_NAME)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE runs",),
        ("DELETE FROM runs",),
        ("INSERT INTO runs VALUES ('second', 'bad', '{}', 2)",),
        ("DROP TABLE traces",),
        ("ALTER TABLE traces RENAME TO others", "CREATE VIEW traces AS SELECT * FROM others"),
    ],
    ids=" ".join,
)
def test_what_a_file_has_lost_is_not_made_anew(
    store: TraceStore, run_dir: Path, statements: tuple[str, ...]
) -> None:
    """A run without its row would take any configuration for its own, one without its
    traces would be asked again in silence.
    """
    store.record(trace_of(0))
    store.close()
    change(run_dir, *statements)
    for begun_with in ("c0ffee", "bad"):
        with pytest.raises(BadTraceError, match=r"runs|traces"):
            open_store(run_dir, begun_with)


def test_a_store_whose_making_was_killed_is_made_to_its_end(run_dir: Path) -> None:
    open_store(run_dir).close()
    change(run_dir, "DELETE FROM runs", "DROP TABLE traces", "DROP TABLE deletions")
    with open_store(run_dir, "other") as store:
        assert store.config_hash == "other" and len(store) == 0


def test_a_log_without_its_file_is_kept(store: TraceStore, run_dir: Path) -> None:
    store.record(trace_of(0))
    path, log = run_dir / FILE_NAME, run_dir / f"{FILE_NAME}-wal"
    kept = log.read_bytes()
    assert kept
    store.close()
    for lose in (path.unlink, lambda: path.write_bytes(b"")):
        log.write_bytes(kept)
        lose()
        with pytest.raises(StorageError, match="-wal") as caught:
            open_store(run_dir)
        assert caught.value.path == path and log.read_bytes() == kept


def test_only_a_second_record_is_called_one(store: TraceStore, run_dir: Path) -> None:
    change(
        run_dir,
        "CREATE TRIGGER full BEFORE INSERT ON traces BEGIN SELECT RAISE(ABORT, 'no more'); END",
    )
    with pytest.raises(BadTraceError, match="no more"):
        store.record(trace_of(0))


@pytest.mark.parametrize("place", ["header", "tables", "end"])
def test_a_file_that_is_damaged_as_a_whole_is_named(
    store: TraceStore, run_dir: Path, place: str
) -> None:
    for index in range(20):
        store.record(trace_of(index))
    store.close()
    path = run_dir / FILE_NAME
    with path.open("r+b") as file:
        if place == "end":
            file.truncate(path.stat().st_size // 3)
        else:
            file.seek(0 if place == "header" else 4096)
            file.write(b"\xa5" * (64 if place == "header" else 3 * 4096))
    for attempt in (lambda: list(TraceStore.read(run_dir)), lambda: open_store(run_dir)):
        with pytest.raises(BadTraceError) as caught:
            attempt()
        assert str(path) in str(caught.value)


def test_any_flipped_bit_of_the_file_loses_at_most_what_is_named(
    store: TraceStore, run_dir: Path
) -> None:
    for index in range(4):
        store.record(ordinary_trace(index))
    whole = {trace.question.hash: trace for trace in store}
    store.close()
    path = run_dir / FILE_NAME
    content = path.read_bytes()
    rng = random.Random(0)
    damaged = 0
    for _ in range(60):
        place = rng.randrange(100, len(content))
        path.write_bytes(
            content[:place]
            + bytes([content[place] ^ (1 << rng.randrange(8))])
            + content[place + 1 :]
        )
        try:
            with TraceStore.read(run_dir) as reader:
                found = {trace.question.hash: trace for trace in reader}
                named = {key.question_hash for key in reader.damaged}
        except BadTraceError:
            continue
        damaged += bool(named)
        assert all(whole[question_hash] == trace for question_hash, trace in found.items()), (
            "damage passed for a trace"
        )
        assert len(found) + len(named) >= 4, "a trace is missing and not named"
    assert damaged > 10


def gold_of(question: Question, gold: str | None) -> Question:
    return question.model_copy(update={"gold": gold})


def test_a_run_is_held_to_its_questions_and_golds(store: TraceStore, run_dir: Path) -> None:
    questions = [trace_of(index).question for index in range(4)]
    store.require_same_questions(questions)
    store.record(trace_of(3))
    store.close()
    changes = {
        "added": [*questions, trace_of(7).question],
        "removed": questions[:3],
        "with another gold": [*questions[:3], gold_of(questions[3], "77")],
        "with another gold ": [*questions[:3], gold_of(questions[3], None)],
    }
    with open_store(run_dir) as resumed:
        resumed.require_same_questions(questions[::-1])
        for kind, changed in changes.items():
            with pytest.raises(RunConflictError) as caught:
                resumed.require_same_questions(changed)
            (line,) = (line for line in str(caught.value).splitlines() if line.startswith("  "))
            named = trace_of(7) if kind == "added" else trace_of(3)
            assert (
                line.startswith(f"  {kind.strip()}: {named.question.hash}")
                and named.question.text in line
            )
        resumed.require_same_questions(questions)


def test_stores_are_for_their_owner_whatever_the_umask(run_dir: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(run_dir) as store:
            store.record(trace_of(0))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in run_dir.iterdir()}
    finally:
        os.umask(before)
    assert modes.keys() >= {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "traces.lock"}
    assert set(modes.values()) == {0o600} and stat.S_IMODE(run_dir.stat().st_mode) == 0o700


def folder_for_the_store(run_dir: Path) -> None:
    (run_dir / FILE_NAME).mkdir(parents=True)


def folder_for_the_lock(run_dir: Path) -> None:
    (run_dir / "traces.lock").mkdir(parents=True)


def file_for_the_folder(run_dir: Path) -> None:
    run_dir.write_text("a file")


def link_to_nowhere(run_dir: Path) -> None:
    run_dir.symlink_to(run_dir.parent / "nowhere")


@pytest.mark.parametrize(
    "obstacle", [folder_for_the_store, folder_for_the_lock, file_for_the_folder, link_to_nowhere]
)
def test_what_stands_in_a_stores_way_is_a_storage_error(
    run_dir: Path, obstacle: Callable[[Path], None]
) -> None:
    obstacle(run_dir)
    with pytest.raises(StorageError) as caught:
        open_store(run_dir)
    assert run_dir in (caught.value.path, caught.value.path.parent)


def test_a_path_that_sqlite_does_not_take_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_store(tmp_path / ("a" * 200) / ("b" * 200) / ("c" * 200))
    assert caught.value.path.name == FILE_NAME and "run.name" in caught.value.remedy


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Lets this process write no file beyond `size` bytes: what a full disk does, for
    one process.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_where_no_room_is_left_what_was_recorded_stays(store: TraceStore, run_dir: Path) -> None:
    recorded: list[Trace] = []
    with files_up_to(100_000), pytest.raises(StorageError) as caught:
        for index in range(500):
            store.record(ordinary_trace(index))
            recorded.append(ordinary_trace(index))
    assert recorded and caught.value.path == run_dir / FILE_NAME
    assert {trace.question.hash for trace in store} == {trace.question.hash for trace in recorded}
    store.record(ordinary_trace(500))  # there is room again
    store.close()
    with open_store(run_dir) as resumed:
        assert len(resumed) == len(recorded) + 1 and not resumed.damaged


def test_where_no_room_is_left_a_store_is_neither_made_nor_read(run_dir: Path) -> None:
    with files_up_to(2048), pytest.raises(StorageError):
        open_store(run_dir)
    with open_store(run_dir) as store:
        store.record(trace_of(0))
    with files_up_to(2048), pytest.raises(StorageError):
        TraceStore.read(run_dir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 300 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("only a user who may mount a file system can make a small one")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_file_system_is_named_and_what_was_recorded_stays(small_disk: Path) -> None:
    recorded = 0
    with open_store(small_disk / "first") as store:
        with pytest.raises(StorageError) as caught:
            for index in range(500):
                store.record(ordinary_trace(index))
                recorded += 1
        assert os.strerror(errno.ENOSPC) in caught.value.reason
        assert 0 < recorded == len(list(store))
    with TraceStore.read(small_disk / "first") as reader:
        assert len(reader) == recorded


def test_a_log_on_a_read_only_file_system_is_read(small_disk: Path) -> None:
    run_dir = small_disk / "first"
    with open_store(run_dir) as store:
        store.record(trace_of(0))
        copy = {file.name: file.read_bytes() for file in run_dir.iterdir()}
    # as a killed writer leaves it: the trace is in the log alone
    for name, content in copy.items():
        (run_dir / name).write_bytes(content)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with TraceStore.read(run_dir) as reader:
        assert list(reader) == [trace_of(0)]
    with pytest.raises(StorageError):
        open_store(run_dir)


def test_a_store_that_is_removed_under_its_writer_is_a_storage_error(
    store: TraceStore, run_dir: Path
) -> None:
    store.record(trace_of(0))
    shutil.rmtree(run_dir)
    with pytest.raises(StorageError):
        store.record(trace_of(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_store_of_another_user_is_a_storage_error(store: TraceStore, run_dir: Path) -> None:
    store.record(trace_of(0))
    store.close()
    for place in (run_dir, *run_dir.parents[:3]):
        place.chmod(0o755)
    os.seteuid(65534)
    try:
        attempts: list[Callable[[], object]] = [
            lambda: open_store(run_dir),
            lambda: TraceStore.read(run_dir),
        ]
        for attempt in attempts:
            with pytest.raises(StorageError) as caught:
                attempt()
            assert os.strerror(errno.EACCES) in caught.value.reason
    finally:
        os.seteuid(0)


def test_another_schema_version_is_refused(store: TraceStore, run_dir: Path) -> None:
    store.close()
    connection = sqlite3.connect(run_dir / FILE_NAME)
    with connection:
        connection.execute("UPDATE runs SET schema_version = 99")
    connection.close()
    for attempt in (TraceStore.read, open_store):
        with pytest.raises(BadTraceError, match="schema version 99"):
            attempt(run_dir)


def test_an_unknown_trace_is_a_key_error(store: TraceStore) -> None:
    with pytest.raises(KeyError, match="no sample 0 of question nothing"):
        store.get("nothing", 0)


def test_what_is_visible_holds_nothing_hidden(store: TraceStore) -> None:
    trace = trace_of(5)
    store.record(trace)
    (row,) = store.visible()
    assert (
        row["question"] == trace.question.text
        and row["answer"] == "5"
        and row["correct"] is True
        and row["status"] == "answered"
    )
    assert {entry["role"]: entry["generated_tokens"] for entry in row["usage"]} == {
        "policy": 12,
        "critic": 6,
    }
    assert CANARY not in repr(row)


def test_no_hidden_word_lies_readable_on_the_disk(store: TraceStore, run_dir: Path) -> None:
    store.record(ordinary_trace())
    store.close()
    files = {file.name: file.read_bytes() for file in run_dir.iterdir()}
    assert len(files[FILE_NAME]) > 1000
    assert all(CANARY.encode() not in content for content in files.values())


def test_threads_may_record_together(store: TraceStore) -> None:
    traces = [trace_of(index) for index in range(24)]

    def record(part: list[Trace]) -> None:
        for trace in part:
            store.record(trace)

    threads = [threading.Thread(target=record, args=(traces[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 24


def test_text_that_utf8_cannot_write_is_recorded(store: TraceStore) -> None:
    trace = replace(trace_of(0), summary="half a pair: \ud83d")
    store.record(trace)
    assert list(store) == [trace]
    assert next(store.visible())["summary"] == "half a pair: ?"


@pytest.mark.parametrize("num_recorded", [1, 25])
def test_kill_9_loses_no_recorded_trace_and_the_run_is_resumed(
    tmp_path: Path, num_recorded: int
) -> None:
    run_dir = tmp_path / "killed"
    printed: list[int] = []
    for _ in range(2):  # the second process resumes what the first one left
        with subprocess.Popen(
            [sys.executable, "-m", "tests.graphs.traces.recorder", str(run_dir)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            printed += [int(process.stdout.readline()) for _ in range(num_recorded)]
            os.kill(process.pid, signal.SIGKILL)
            # what it recorded before the signal arrived
            printed += [int(line) for line in process.stdout.read().split()]
            assert process.wait() == -signal.SIGKILL
        with TraceStore.open(run_dir, config_hash="c0ffee", config_yaml="{}") as store:
            expected = {Question(text=f"What is {index} + 0?").hash for index in printed}
            recorded = {question_hash for question_hash, _ in store.finished()}
            # a trace may be stored and not yet printed, once per kill
            assert expected <= recorded and len(recorded - expected) <= 2
            assert {trace.question.hash for trace in store} == recorded
    assert len(set(printed)) == len(printed), "a resumed run asked a question again"
    connection = sqlite3.connect(run_dir / FILE_NAME)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_closed_store_says_so(store: TraceStore) -> None:
    store.close()
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.get(QUESTION.hash, 0)
