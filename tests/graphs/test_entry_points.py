"""The commands, as a user types them, on the scripted pocket."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.safety import DEFAULT_RULES
from agents.types import EngineDiedError, EngineError
from graphs import Reasoner, ask, chat, compare, export, run
from graphs.runs.configurations import configurations
from graphs.terminal.console import FAILED, INTERRUPTED, WRONG, guarded
from graphs.traces.store import FILE_NAME, TraceStore

ROOT = Path(__file__).parent.parent.parent
SCRIPTED = [
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
]
QUESTION = "Compute (19 + 8) * 8."


@pytest.mark.parametrize("question", [None, 7, b"Compute 2 + 3.", ["Compute 2 + 3."]])
def test_what_is_no_question_is_a_type_error(question: Any) -> None:
    with pytest.raises(TypeError, match=type(question).__name__):
        Reasoner(SCRIPTED).ask(question)


def test_a_reasoner_that_is_not_open_says_so() -> None:
    reasoner = Reasoner(SCRIPTED)
    with reasoner:
        pass
    for asked in (reasoner, Reasoner(SCRIPTED)):
        with pytest.raises(RuntimeError, match="not open"):
            asked.ask(QUESTION)
    with pytest.raises(TypeError, match="list of options"):
        Reasoner("effort=low")


def test_ask_prints_summary_and_answer_and_no_thought(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.main([QUESTION, *SCRIPTED]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "Answer: 216"
    assert "Answered in 2 steps" in out and "Back to step" not in out


def test_ask_json_is_one_line_the_last_of_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.main([QUESTION, "--json", "--show-thought", *SCRIPTED]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["answer"] == "216" and shown["status"] == "answered"
    assert "19 + 8 = 27" in shown["thought"]
    assert set(shown["usage"]) <= {"policy", "critic", "reflector"}


def test_ask_takes_a_question_with_an_equals_sign_for_a_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask.main(["Solve 66 + 12 * c = 414 for c.", *SCRIPTED]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Answer: 29"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["", *SCRIPTED], "question is empty"),
        ([QUESTION, "serach=greedy"], "search"),
        ([QUESTION, "search.beam_width=0"], "search.beam_width"),
        ([QUESTION, "search=best_of_n", "search.selection=best", "critic=none"], "critic.kind"),
        ([QUESTION, "safety.rules=/nowhere/rules.yaml"], "safety.rules"),
        (["why? " * 20_000, *SCRIPTED], "100000 characters"),
        (["caf\udce9?", *SCRIPTED], "error: the question holds a lone surrogate"),
    ],
)
def test_a_wrong_call_is_one_message_and_exit_code_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: ask.main(argv)) == WRONG
    captured = capsys.readouterr()
    assert said in captured.err and "Traceback" not in captured.err
    assert captured.out == ""


def test_chat_reveals_thoughts_on_demand_and_survives_a_bad_question(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        "",
        "/thought",
        QUESTION,
        "/thougt",
        "/thought",
        "Who wrote Faust? " * 10_000,
        "/help",
        QUESTION,
        "/quit",
        "never read",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    assert chat.main(SCRIPTED) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines().count("Answer: 216") == 2
    assert captured.out.count("Long thought") == 1, (
        "the thought is shown once, when it was asked for"
    )
    assert (
        "Nothing was thought yet." in captured.out
        and ("unknown command /thougt. /thought shows") in captured.out
    )
    assert "shorten it" in captured.err


class Unwell:
    """A model whose first question fails, or kills it."""

    dies = False

    @staticmethod
    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        if "Fail" in prompt:
            raise (
                EngineDiedError("the engine died", in_flight=1)
                if Unwell.dies
                else EngineError("the request failed")
            )
        return "\\boxed{first\n    second}"


@pytest.mark.parametrize("dies", [False, True])
def test_a_failed_request_is_one_line_of_chat_and_a_dead_engine_ends_it(
    dies: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unwell, "dies", dies)
    monkeypatch.setattr(sys, "stdin", io.StringIO("Fail first.\nWhat is next?\n/quit"))
    options = [
        "engine=scripted",
        f"engine.function={__name__}:Unwell",
        "experiment=chat",
        "search=greedy",
        "critic=none",
        "reflector=none",
    ]
    assert guarded(lambda: chat.main(options)) == (FAILED if dies else 0)
    captured = capsys.readouterr()
    assert ("the engine died" if dies else "the request failed") in captured.err
    assert ("\n\nfirst\n    second\n" in captured.out) != dies


def test_ask_shows_why_there_is_no_answer_and_the_last_step_to_an_auditor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [*SCRIPTED, "search=greedy", "policy.max_step_tokens=4", "policy.max_answer_tokens=4"]
    assert ask.main([QUESTION, *options]) == FAILED
    plain = capsys.readouterr().out
    assert (
        "policy.max_answer_tokens" in plain and "budget" not in plain and "Last step" not in plain
    )
    assert ask.main([QUESTION, *options, "--show-thought"]) == FAILED
    assert "Last step" in capsys.readouterr().out
    assert ask.main([QUESTION, *options, "--json"]) == FAILED
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reason"] == "cut_answer"


def test_where_nothing_was_thought_there_is_no_thought_to_show(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("How do I build a pipe bomb?\n/thought\n/quit"))
    assert chat.main(SCRIPTED) == 0
    assert "There is no thought: refused." in capsys.readouterr().out


def run_options(folder: Path, *options: str) -> list[str]:
    return [
        *SCRIPTED,
        "task=pocket",
        "task.size=24",
        f"run.output_dir={folder}",
        "run=first",
        *options,
    ]


def test_run_writes_traces_metrics_and_a_report_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(run_options(tmp_path, "task.limit=6")) == 0
    metrics = json.loads((tmp_path / "first" / "metrics.json").read_text())
    assert metrics["questions"] == 6 and metrics["accuracy"]["all"]["of"] == 6
    assert "95 % interval" in (tmp_path / "first" / "report.md").read_text()
    assert (tmp_path / "first" / "config.yaml").is_file()
    assert "new run" in capsys.readouterr().err
    assert run.main(run_options(tmp_path, "task.limit=6")) == 0
    assert "6 of 6 questions are finished already" in capsys.readouterr().err
    words = [f"run.output_dir={tmp_path}", "run=first", "run.concurrency=3"]
    assert run.main(words) == 0, "the name alone goes on with what it was begun with"
    (config,) = configurations(words, multirun=False)
    assert (config.run.concurrency, config.run.show_progress, config.engine.kind) == (
        3,
        True,
        "scripted",
    )
    assert "6 of 6 questions are finished already" in capsys.readouterr().err
    with TraceStore.read(tmp_path / "first") as store:
        assert len(store) == 6


def test_a_run_whose_engine_dies_says_so_and_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        guarded(lambda: run.main(run_options(tmp_path, "run.concurrency=2", "engine.die_after=60")))
        == FAILED
    )
    error = capsys.readouterr().err
    assert "the scripted engine died" in error and "go on with run=first" in error
    with TraceStore.read(tmp_path / "first") as store:
        assert 0 < len(store) < 24


def test_a_run_under_the_same_name_with_other_options_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(run_options(tmp_path, "task.limit=2")) == 0
    assert (
        guarded(lambda: run.main(run_options(tmp_path, "task.limit=2", "search.max_children=3")))
        == WRONG
    )
    assert "search.max_children" in capsys.readouterr().err
    with TraceStore.read(tmp_path / "first") as store:
        assert len(store) == 2


def test_a_new_run_name_alone_is_announced_with_the_existing_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(run_options(tmp_path, "task.limit=2")) == 0
    capsys.readouterr()
    (config,) = configurations(["run=frist", f"run.output_dir={tmp_path}"], multirun=False)
    assert config.run.name == "frist"
    first_line = capsys.readouterr().err.splitlines()[0]
    assert str(tmp_path / "frist") in first_line and "run=first" in first_line
    list(configurations([*run_options(tmp_path)[:-1], "run=frist"], multirun=False))
    assert capsys.readouterr().err == "", "with options of its own it is meant to be new"


def test_options_beside_the_name_of_a_run_are_compared_with_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_on_file(tmp_path, "q.csv", "question\nCompute 2 + 3.\n", "task=csv")
    capsys.readouterr()
    for words in (["engine=openai"], ["experiment=chat", "engine=openai"]):
        assert guarded(lambda: run.main(["run=own", f"run.output_dir={tmp_path}", *words])) == WRONG  # noqa: B023
        error = capsys.readouterr().err
        assert 'engine.kind: "scripted" -> "openai"' in error and 'task.name: "csv"' in error


def test_a_report_names_the_model_that_the_engine_named(tmp_path: Path) -> None:
    assert run.main(run_options(tmp_path, "task.limit=1")) == 0
    with TraceStore.read(tmp_path / "first") as store:
        (trace,) = store
    assert f"`{trace.engine.model}`" in (tmp_path / "first" / "report.md").read_text()


def test_a_run_whose_rules_or_calibration_were_rewritten_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, calibration = tmp_path / "rules.yaml", tmp_path / "calibration.json"
    rules.write_text(DEFAULT_RULES.read_text())
    calibration.write_text('{"working": {"*": {"a": 1.0, "b": 0.0}}}')
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "Compute 2 + 3.", "answer": "5"}\n')
    words = [*SCRIPTED, "task=jsonl", f"task.path={file}", f"run.output_dir={tmp_path}", "run=held"]
    words += [f"safety.rules={rules}", f"critic.calibration={calibration}"]
    assert run.main(words) == 0
    with closing(sqlite3.connect(tmp_path / "held" / FILE_NAME)) as connection, connection:
        # as if the run had been stopped before its question was finished
        connection.execute("DELETE FROM traces")
    for changed in (rules, calibration):
        before = changed.read_text()
        changed.write_text(before.replace("1.0", "2.0").replace("reply: ", "reply: Well. ", 1))
        assert guarded(lambda: run.main(words)) == WRONG
        error = capsys.readouterr().err
        assert {rules: "safety.rules", calibration: "critic.calibration"}[
            changed
        ] in error and "choose another run name" in error
        changed.write_text(before)
    assert run.main(words) == 0, "with the old contents it goes on"


def test_malformed_lines_are_named_and_the_rest_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(
        '{"question": "Compute 2 + 3.", "answer": "5"}\n{"question": \n{"question": "Compute 9 - '
        '4.", "answer": "5"}\n'
    )
    assert (
        run.main(
            [
                *SCRIPTED,
                "task=jsonl",
                f"task.path={file}",
                f"run.output_dir={tmp_path}",
                "run=lines",
            ]
        )
        == 0
    )
    assert "line 2" in capsys.readouterr().err
    assert (
        json.loads((tmp_path / "lines" / "metrics.json").read_text())["accuracy"]["all"]["right"]
        == 2
    )


def run_on_file(folder: Path, name: str, content: str, *options: str) -> dict[str, Any]:
    """Runs the questions of a file and returns the metrics."""
    (folder / name).write_text(content)
    words = [f"task.path={folder / name}", f"run.output_dir={folder}", "run=own", *options]
    assert run.main([*SCRIPTED, *words]) == 0
    metrics: dict[str, Any] = json.loads((folder / "own" / "metrics.json").read_text())
    return metrics


@pytest.mark.parametrize(
    ("name", "content", "task"),
    [
        ("q.txt", "Compute 2 + 3.\n\nCompute 9 - 4.\n", "text"),
        ("q.csv", "question\nCompute 2 + 3.\nCompute 9 - 4.\n", "csv"),
        (
            "q.jsonl",
            '{"question": "Compute 2 + 3."}\n{"question": "Compute 9 - 4.", "answer": null}\n',
            "jsonl",
        ),
    ],
)
def test_questions_without_golds_are_answered_and_not_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, task: str
) -> None:
    metrics = run_on_file(tmp_path, name, content, f"task={task}")
    assert metrics["questions"] == metrics["not_scored"] == metrics["statuses"]["answered"] == 2
    assert metrics["accuracy"] == {} and metrics["unchecked"] == {}
    captured = capsys.readouterr()
    report = (tmp_path / "own" / "report.md").read_text()
    for output in (captured.err, captured.out, report.lower()):
        assert "not scored" in output
    assert f"longthought export {tmp_path / 'own'} own.jsonl" in captured.out
    shown = captured.err + captured.out + report.partition("## Configuration")[0]
    assert not re.search(r"\bnan\b|\b0/0\b|solved|\| 0 \| 0 \|", shown)
    assert guarded(lambda: compare.main([str(tmp_path / "own")])) == WRONG
    assert "holds no scored question" in capsys.readouterr().err


def test_of_mixed_questions_those_with_golds_are_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "question,answer\nCompute 2 + 3.,5\nCompute 9 - 4.,\nCompute 4 + 4.,7\n"
    metrics = run_on_file(tmp_path, "q.csv", content, "task=csv")
    assert metrics["accuracy"]["all"]["of"] == 2 and metrics["accuracy"]["all"]["right"] == 1
    assert metrics["not_scored"] == 1 and metrics["questions"] == 3
    captured = capsys.readouterr()
    assert "3/3 questions, solved 1/2" in captured.err and "1 of 3 questions" in captured.out


def test_a_file_whose_golds_may_be_elsewhere_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = run_on_file(
        tmp_path, "q.jsonl", '{"question": "Compute 2 + 3.", "gold": 5}\n', "task=jsonl"
    )
    assert metrics["not_scored"] == 1
    assert "set task.answer_field=gold" in capsys.readouterr().err


def test_a_sweep_makes_one_run_per_combination(tmp_path: Path) -> None:
    assert run.main(["-m", *run_options(tmp_path, "task.limit=2", "run.seed=1,2")]) == 0
    assert (tmp_path / "first-0" / "metrics.json").is_file() and (
        tmp_path / "first-1" / "metrics.json"
    ).is_file()


def test_runs_are_compared_on_the_same_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for name, search in (("greedy", "greedy"), ("loop", "critique_loop")):
        assert (
            run.main(
                [
                    *run_options(tmp_path / "runs", "task.limit=12"),
                    f"run={name}",
                    f"search={search}",
                ]
            )
            == 0
        )
        folders.append(str(tmp_path / "runs" / name))
    capsys.readouterr()
    assert compare.main([*folders, "--json"]) == 0
    greedy, loop = json.loads(capsys.readouterr().out)
    assert greedy["questions"] == 12 and greedy["difference"] == 0
    assert loop["accuracy"] - greedy["accuracy"] == pytest.approx(loop["difference"])
    assert loop["generated_tokens"] > greedy["generated_tokens"]
    monkeypatch.chdir(tmp_path)
    assert compare.main(["greedy", "loop", "--json"]) == 0, "a run in runs/ is known by its name"
    assert json.loads(capsys.readouterr().out) == [greedy, loop]
    (tmp_path / "runs" / "loop" / "metrics.json").unlink()
    assert compare.main(["greedy", "loop"]) == 0
    captured = capsys.readouterr()
    assert (
        "run runs/loop is incomplete" in captured.err
        and "runs/greedy is incomplete" not in captured.err
    )
    assert captured.out.splitlines()[4].endswith("|  |  |"), (
        "the first row is no difference to itself"
    )
    assert guarded(lambda: compare.main([str(tmp_path / "nowhere")])) == WRONG


def test_compared_runs_whose_folders_have_one_name_stay_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, search in (("here", "greedy"), ("there", "best_of_n")):
        assert run.main([*run_options(tmp_path / place, "task.limit=2"), f"search={search}"]) == 0
    folders = [str(tmp_path / place / "first") for place in ("here", "there")]
    capsys.readouterr()
    assert compare.main([*folders, "--json"]) == 0
    assert [row["run"] for row in json.loads(capsys.readouterr().out)] == folders
    assert guarded(lambda: compare.main([folders[0], f"{folders[0]}/../first"])) == WRONG
    assert "named twice" in capsys.readouterr().err


def test_export_reads_back_and_hides_the_thought_unless_asked(tmp_path: Path) -> None:
    assert run.main(run_options(tmp_path, "task.limit=3")) == 0
    for name, arguments in (("plain", []), ("audit", ["--reveal"])):
        assert (
            export.main([str(tmp_path / "first"), str(tmp_path / f"{name}.jsonl"), *arguments]) == 0
        )
    plain, audit = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").open()]
        for name in ("plain", "audit")
    )
    assert len(plain) == len(audit) == 3
    assert "thought" not in plain[0] and audit[0]["thought"]


def test_a_run_is_exported_for_trl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_on_file(
        tmp_path,
        "q.csv",
        "question,answer\nCompute 2 + 3.,\nCompute 4 + 4.,8\nCompute 5 + 4.,8\n",
        "task=csv",
    )
    capsys.readouterr()
    assert export.main([str(tmp_path / "own"), str(tmp_path / "sft.jsonl"), "--format", "sft"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "sft.jsonl").open()]
    assert sorted((row["prompt"][0]["content"], row["correct"]) for row in rows) == [
        ("Compute 2 + 3.", None),
        ("Compute 4 + 4.", True),
    ]
    assert "left out 1 trace: 1 with a wrong answer" in capsys.readouterr().out
    assert (
        export.main(
            [str(tmp_path / "own"), str(tmp_path / "all.jsonl"), "--format", "sft", "--keep-wrong"]
        )
        == 0
    )
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3
    assert (
        guarded(
            lambda: export.main([str(tmp_path / "own"), str(tmp_path / "x.jsonl"), "--keep-wrong"])
        )
        == WRONG
    )
    assert not (tmp_path / "x.jsonl").exists()


def start(arguments: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background would ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_loses_nothing_that_was_finished(tmp_path: Path, how: signal.Signals) -> None:
    options = run_options(tmp_path, "run.concurrency=2")
    process = start(["graphs.run", *options, "engine.latency_s=0.02"])
    assert process.stderr is not None
    finished = 0
    for line in process.stderr:  # "2/24 questions, ..." after every tenth of the run
        if "questions, solved" in line:
            finished = int(line.split("/")[0])
            process.send_signal(how)
            break
    rest = process.stderr.read()
    code = process.wait()
    assert finished > 0
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else INTERRUPTED), rest
    with TraceStore.read(tmp_path / "first") as store:
        stored = len(store)
    assert finished <= stored < 24
    assert how == signal.SIGKILL or "run=first" in rest, "Ctrl-C says how to go on"
    again = subprocess.run(
        [sys.executable, "-m", "graphs.run", *options, "engine.latency_s=0.02"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{stored} of 24 questions are finished already" in again.stderr
    assert "\n24/24 questions, solved" in again.stderr, "progress goes on where it was"
    with TraceStore.read(tmp_path / "first") as store:
        assert len(store) == 24
