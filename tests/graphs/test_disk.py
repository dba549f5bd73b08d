"""The commands on bad disks, damaged stores and changed data, as a user types them: one
sentence, nothing lost, and the way on.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graphs import compare, export, forget, run
from graphs.evaluation import calibration
from graphs.terminal.console import FAILED, WRONG, guarded
from graphs.traces.store import FILE_NAME, TraceStore

ROOT = Path(__file__).parent.parent.parent
SCRIPTED = [
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
]
SIZE = 6


def options(folder: Path, *more: str) -> list[str]:
    return [
        *SCRIPTED,
        "task=pocket",
        "task.size=24",
        f"task.limit={SIZE}",
        f"run.output_dir={folder}",
        "run=first",
        *more,
    ]


def command(
    *arguments: str, limit: int | None = None, stdout: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Runs a module in a process of its own; `limit`: bytes beyond which it may write
    no file.
    """

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limited,
        check=False,
    )


def failed(main: Callable[[], int], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Returns the one error that a command ends with."""
    capsys.readouterr()
    assert guarded(main) == code
    (error,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return error


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A finished run."""
    assert run.main(options(tmp_path)) == 0
    return tmp_path / "first"


def edit(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute(sql)


def test_a_full_disk_ends_a_run_once_and_it_goes_on_where_it_was(tmp_path: Path) -> None:
    words = [*options(tmp_path, "run.concurrency=8"), "task.limit=24"]
    stopped = command("graphs.run", *words, limit=150_000)
    assert stopped.returncode == FAILED and "Traceback" not in stopped.stderr
    assert stopped.stderr.count("error: ") == 1 and "go on with run=first" in stopped.stderr
    assert str(tmp_path / "first" / FILE_NAME) in stopped.stderr
    with TraceStore.read(tmp_path / "first") as store:
        kept = store.finished()
    assert 0 < len(kept) < 24
    again = command("graphs.run", *words)
    assert (
        again.returncode == 0
        and (f"{len(kept)} of 24 questions are finished already") in again.stderr
    )
    with TraceStore.read(tmp_path / "first") as store:
        assert len(store) == 24 and not store.damaged


@pytest.mark.parametrize(
    "name", ["config.yaml", "metrics.json", "report.md", FILE_NAME, "traces.lock"]
)
def test_a_folder_in_a_files_place_is_one_sentence(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "first" / name
    place.mkdir(parents=True)
    error = failed(lambda: run.main(options(tmp_path)), capsys, FAILED)
    assert str(place) in error and "run.output_dir" in error
    place.rmdir()
    assert run.main(options(tmp_path)) == 0


def test_a_run_whose_folder_is_a_file_says_so_and_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "first").write_text("a file")
    assert guarded(lambda: run.main(options(tmp_path))) == FAILED
    captured = capsys.readouterr().err
    assert (
        str(tmp_path / "first") in captured
        and "go on with run=first" in captured.partition("error: ")[2]
    )


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_an_export_without_room_is_one_sentence(
    tmp_path: Path, first: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / f"full.{suffix}"
    full.symlink_to("/dev/full")
    error = failed(lambda: export.main([str(first), str(full)]), capsys, FAILED)
    assert str(full) in error
    (tmp_path / "file").write_text("a file")
    assert str(tmp_path / "file") in failed(
        lambda: export.main([str(first), str(tmp_path / "file" / "out.jsonl")]), capsys, FAILED
    )


@pytest.mark.parametrize("flag", ["--json", "--help"])
def test_a_full_disk_behind_stdout_is_one_sentence(first: Path, flag: str) -> None:
    with open("/dev/full", "w") as full:
        done = command("graphs.compare", str(first), flag, stdout=full)
    assert (
        done.returncode == FAILED
        and "Traceback" not in done.stderr
        and done.stderr.count("error: ") == 1
    )


def test_a_reader_of_stdout_that_has_gone_is_no_error(first: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = command("graphs.compare", str(first), "--json", stdout=writer)
    os.close(writer)
    assert "Traceback" not in done.stderr and "error: " not in done.stderr


def test_a_damaged_question_is_named_by_readers_and_asked_again_alone(
    tmp_path: Path,
    first: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with TraceStore.read(first) as store:
        before = {trace.question.hash: trace.thought_id for trace in store}
    edit(first, "UPDATE traces SET trace = substr(trace, 1, length(trace) - 9) WHERE rowid = 3")
    capsys.readouterr()
    assert compare.main([str(first), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["questions"] == SIZE - 1
    for reveal in ([], ["--reveal"]):
        assert export.main([str(first), str(tmp_path / "out.jsonl"), *reveal]) == 0
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == SIZE - 1
    (lost,) = (question_hash for question_hash in before if question_hash in caplog.text)
    assert run.main(options(tmp_path)) == 0
    assert f"{SIZE - 1} of {SIZE} questions are finished already" in capsys.readouterr().err
    assert json.loads((first / "metrics.json").read_text())["questions"] == SIZE
    with TraceStore.read(first) as store:
        after = {trace.question.hash: trace.thought_id for trace in store}
    assert {
        question_hash for question_hash in before if before[question_hash] != after[question_hash]
    } == {lost}


def test_a_stopped_resume_of_a_run_that_lost_a_trace_removes_metrics(
    tmp_path: Path, first: Path
) -> None:
    edit(first, "UPDATE traces SET trace = x'00' WHERE rowid = 3")
    edit(first, "UPDATE contents SET hash = 'other weights'")
    assert guarded(lambda: run.main(options(tmp_path))) == WRONG, (
        "it stops before the first question"
    )
    assert not (first / "metrics.json").exists()


def test_a_damaged_store_is_one_sentence_for_every_command(
    tmp_path: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (first / FILE_NAME).open("r+b") as file:
        file.write(b"garbage!" * 20)
    commands: list[Callable[[], int]] = [
        lambda: compare.main([str(first)]),
        lambda: calibration.main([str(first)]),
        lambda: export.main([str(first), str(tmp_path / "out.jsonl")]),
        lambda: forget.main([str(first), "--yes"]),
        lambda: run.main(options(tmp_path)),
        lambda: run.main(["run=first", f"run.output_dir={tmp_path}"]),
    ]
    for main in commands:
        assert str(first / FILE_NAME) in failed(main, capsys, FAILED)
    assert forget.main([str(first), "--yes", "--everything"]) == 0 and not first.exists()


QUESTIONS = [("Compute 2 + 3.", "5"), ("Compute 9 - 4.", "5"), ("Compute 7 + 4.", "11")]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ([*QUESTIONS[:2], ("Compute 7 + 4.", "12")], ["with another gold"]),
        ([*QUESTIONS, ("Compute 1 + 1.", "2")], ["added"]),
        (QUESTIONS[:2], ["removed"]),
        ([*QUESTIONS[:2], ("Compute 7 + 5.", "12")], ["added", "removed"]),
    ],
)
def test_a_run_whose_questions_or_golds_were_changed_is_not_resumed(
    tmp_path: Path,
    changed: list[tuple[str, str]],
    named: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "questions.jsonl"

    def ask(questions: list[tuple[str, str]]) -> int:
        file.write_text(
            "".join(
                json.dumps({"question": text, "answer": gold}) + "\n" for text, gold in questions
            )
        )
        return guarded(
            lambda: run.main(
                [
                    *SCRIPTED,
                    "task=jsonl",
                    f"task.path={file}",
                    f"run.output_dir={tmp_path}",
                    "run=held",
                ]
            )
        )

    assert ask(QUESTIONS) == 0
    capsys.readouterr()
    assert ask(changed) == WRONG
    lines = [
        line.split(":")[0].strip()
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("  ")
    ]
    assert lines == named
    assert ask(QUESTIONS[::-1]) == 0, "their order is free"
    with TraceStore.read(tmp_path / "held") as store:
        assert len(store) == 3


def test_what_is_left_of_a_run_without_thoughts(
    tmp_path: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, report = (first / "metrics.json").read_text(), (first / "report.md").read_text()
    compare.main([str(first), "--json"])
    compared = capsys.readouterr().out
    assert forget.main([str(first), "--yes"]) == 0
    capsys.readouterr()
    assert compare.main([str(first), "--json"]) == 0
    captured = capsys.readouterr()
    with TraceStore.read(first) as store:
        day = store.thoughts_deleted_on
    assert captured.out == compared and day is not None and day in captured.err
    assert export.main([str(first), str(tmp_path / "out.jsonl")]) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == SIZE
    assert day in failed(
        lambda: export.main([str(first), str(tmp_path / "thoughts.jsonl"), "--reveal"]),
        capsys,
        WRONG,
    )
    assert day in failed(lambda: calibration.main([str(first)]), capsys, WRONG)
    assert run.main(options(tmp_path)) == 0, "a finished run stays finished"
    assert (first / "metrics.json").read_text() == metrics and (
        first / "report.md"
    ).read_text() == report


@pytest.mark.parametrize("damage", ["[]", '{"accuracy": {}}'])
def test_damaged_metrics_of_a_run_without_thoughts_are_named(
    tmp_path: Path, first: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget.main([str(first), "--yes"]) == 0
    (first / "metrics.json").write_text(damage)
    capsys.readouterr()
    assert str(first / "metrics.json") in failed(lambda: run.main(options(tmp_path)), capsys, WRONG)


@pytest.mark.parametrize(
    "damage",
    ["[]", "a: [", "[" * 9999, "a: 1", "\x00", "!!python/name:os.system"],
    ids=lambda text: ascii(text[:20]),
)
def test_a_damaged_configuration_is_named_with_its_store(
    tmp_path: Path, first: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(first, f"UPDATE runs SET config = CAST(x'{damage.encode().hex()}' AS TEXT)")
    for main in (
        lambda: run.main(["run=first", f"run.output_dir={tmp_path}"]),
        lambda: calibration.main([str(first)]),
    ):
        assert str(first / FILE_NAME) in failed(main, capsys, FAILED)


def test_an_unfinished_run_without_thoughts_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        guarded(lambda: run.main(options(tmp_path, "engine.die_after=40", "run.concurrency=1")))
        == FAILED
    )
    with TraceStore.read(tmp_path / "first") as store:
        assert 0 < len(store) < SIZE
    assert forget.main([str(tmp_path / "first"), "--yes"]) == 0
    assert "were deleted" in failed(
        lambda: run.main(options(tmp_path, "engine.die_after=40")), capsys, WRONG
    )


def test_nothing_is_deleted_without_a_confirmation(
    first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (first / FILE_NAME).read_bytes()
    for more in ([], ["--everything"]):
        done = subprocess.run(
            [sys.executable, "-m", "graphs.forget", str(first), *more],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == WRONG and "--yes" in done.stderr
    assert (first / FILE_NAME).read_bytes() == before
