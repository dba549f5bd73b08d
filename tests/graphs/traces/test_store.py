"""The store: what was recorded stays, whatever happens to the process; what does not belong is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agents.nouns import BadTraceError, Question, RunConflictError
from configs import compose, to_yaml
from graphs.traces.store import FILE_NAME, TraceStore
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


def test_what_was_recorded_is_read_back_equal_and_in_one_order(store: TraceStore, run_dir: Path) -> None:
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
    with pytest.raises(ValueError, match=f"sample 0 of question {trace.question.hash} was recorded before"):
        store.record(replace(trace, summary="Another one."))
    assert list(store) == [trace]


@pytest.mark.parametrize("change", [{"run": "second"}, {"config_hash": "bad"}])
def test_a_trace_of_another_run_is_refused(store: TraceStore, change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="record a trace in its own run"):
        store.record(replace(trace_of(0), **change))  # type: ignore[arg-type]


def test_another_configuration_is_refused_with_the_difference(store: TraceStore, run_dir: Path) -> None:
    store.record(trace_of(0))
    store.close()
    with pytest.raises(RunConflictError, match=r"run 'first' was begun with another configuration:\n  search.num_samples: 4 -> 8"):
        open_store(run_dir, "bad", YAML.replace("num_samples: 4", "num_samples: 8"))
    with open_store(run_dir) as resumed:
        assert len(resumed) == 1


def test_a_configuration_of_another_version_is_refused_like_another_configuration(store: TraceStore, run_dir: Path) -> None:
    store.close()
    with pytest.raises(RunConflictError, match=r"cannot be read by this version of longthought: .*num_smaples"):
        open_store(run_dir, "bad", YAML.replace("num_samples", "num_smaples"))


def test_a_run_is_held_to_the_contents_that_it_was_begun_with(store: TraceStore, run_dir: Path) -> None:
    store.hold_to({"weights of the policy": "aaaa", "safety.rules": "bbbb"})
    store.close()
    with open_store(run_dir) as resumed:
        resumed.hold_to({"weights of the policy": "aaaa", "safety.rules": "bbbb"})
        with pytest.raises(RunConflictError, match=r"weights of the policy: aaaa in the run, cccc now\n.*put the old ones back"):
            resumed.hold_to({"weights of the policy": "cccc", "safety.rules": "bbbb", "critic.calibration": "none"})
        resumed.hold_to({"critic.calibration": "dddd"})  # the refused call has left nothing behind


def test_one_process_writes_and_others_read_meanwhile(store: TraceStore, run_dir: Path) -> None:
    with pytest.raises(RunConflictError, match="another process is writing to run 'first'"):
        open_store(run_dir)
    with TraceStore.read(run_dir) as reader:
        assert len(reader) == 0
        store.record(trace_of(0))
        assert len(reader) == 1
        with pytest.raises(ValueError, match="opened for reading"):
            reader.record(trace_of(1))


def test_a_folder_that_cannot_be_written_to_is_readable(store: TraceStore, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.record(trace_of(0))
    store.close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere, so permissions alone would not tell
    with TraceStore.read(run_dir) as reader:
        assert list(reader) == [trace_of(0)]


def test_a_renamed_run_is_refused(store: TraceStore, run_dir: Path) -> None:
    store.close()
    with pytest.raises(RunConflictError, match="is the store of run 'first'"):
        open_store(run_dir.rename(run_dir.with_name("second")))


def test_no_store_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no traces.sqlite; pass the folder of a run"):
        TraceStore.read(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"this is no database at all, is it?" * 99)
    with pytest.raises(BadTraceError, match="file is not a database"):
        TraceStore.read(tmp_path)
    with pytest.raises(BadTraceError, match="file is not a database"):
        open_store(tmp_path)


def test_a_damaged_trace_is_named_and_the_others_are_kept(store: TraceStore, run_dir: Path) -> None:
    for index in range(3):
        store.record(trace_of(index))
    lost, *kept = sorted(store.finished())
    connection = sqlite3.connect(run_dir / FILE_NAME)
    with connection:
        connection.execute("UPDATE traces SET trace = x'00' WHERE question_hash = ?", lost[:1])
    connection.close()
    with pytest.raises(BadTraceError, match=f"question {lost[0]}, sample 0: 1 bytes are no stored trace"):
        list(store)
    assert [store.get(*key).question.hash for key in kept] == [question_hash for question_hash, _ in kept]


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
    assert row["question"] == trace.question.text and row["answer"] == "5" and row["correct"] is True and row["status"] == "answered"
    assert {entry["role"]: entry["generated_tokens"] for entry in row["usage"]} == {"policy": 12, "critic": 6}
    assert CANARY not in repr(row)


def test_no_hidden_word_lies_readable_on_the_disk(store: TraceStore, run_dir: Path) -> None:
    store.record(ordinary_trace())
    store.close()
    assert all(CANARY.encode() not in file.read_bytes() for file in run_dir.iterdir())


def test_threads_may_record_together(store: TraceStore) -> None:
    traces = [trace_of(index) for index in range(24)]
    threads = [threading.Thread(target=lambda part: [store.record(t) for t in part], args=(traces[i::4],)) for i in range(4)]
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


def test_record_is_quick_enough_for_an_event_loop(store: TraceStore) -> None:
    seconds = []
    for index in range(30):
        trace = ordinary_trace(index)
        begin = time.perf_counter()
        store.record(trace)
        seconds.append(time.perf_counter() - begin)
    assert sorted(seconds)[15] < 0.02  # 0.001 on an idle core


@pytest.mark.parametrize("num_recorded", [1, 25])
def test_kill_9_loses_no_recorded_trace_and_the_run_is_resumed(tmp_path: Path, num_recorded: int) -> None:
    run_dir = tmp_path / "killed"
    printed: list[int] = []
    for _ in range(2):  # the second process resumes what the first one left
        with subprocess.Popen(
            [sys.executable, "-m", "tests.graphs.traces.recorder", str(run_dir)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            printed += [int(process.stdout.readline()) for _ in range(num_recorded)]
            os.kill(process.pid, signal.SIGKILL)
            printed += [int(line) for line in process.stdout.read().split()]  # what it recorded before the signal arrived
            assert process.wait() == -signal.SIGKILL
        with TraceStore.open(run_dir, config_hash="c0ffee", config_yaml="{}") as store:
            expected = {Question(text=f"What is {index} + 0?").hash for index in printed}
            recorded = {question_hash for question_hash, _ in store.finished()}
            assert expected <= recorded and len(recorded - expected) <= 2  # a trace may be stored and not yet printed, once per kill
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
