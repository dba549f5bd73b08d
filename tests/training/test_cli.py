"""The `longthought` command and the short help of its subcommands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.cli import Parser, names_option
from training.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
_SCREENS, _LINES, _COLUMNS = 2, 24, 80


@pytest.fixture(autouse=True)
def called_by_module() -> Iterator[None]:
    yield
    Parser.program = None


def _shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_two_screens(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(_COLUMNS))
    lines = _shown([command, "--help"], capsys).splitlines()
    assert 10 < len(lines) <= _SCREENS * _LINES
    assert max(map(len, lines)) <= _COLUMNS
    assert lines[0].startswith(f"usage: longthought {command} ")


@pytest.mark.parametrize("command", ["ask", "chat", "run", "train"])
def test_help_all_adds_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = (_shown([command, flag], capsys) for flag in ("--help", "--help-all"))
    assert long.startswith(short) and "policy.top_p=" in long and "policy.top_p=" not in short


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_command_alone_lists_its_subcommands(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


def test_a_misspelt_subcommand_is_refused_with_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["comapre"]) == 2
    assert "longthought compare" in capsys.readouterr().err


def test_a_question_without_ask_is_refused_with_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["Solve x = 1"]) == 2
    assert 'longthought ask "Solve x = 1"' in capsys.readouterr().err


@pytest.mark.parametrize("words", [["engine=openai"], ["search=beam", "Solve x = 1"], ["-"], [" "]])
def test_a_missing_question_is_refused_before_an_engine_starts(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)  # as after `<&-`
    assert main(["ask", *words]) == 2
    shown = capsys.readouterr().err
    assert "longthought ask" in shown and "starting" not in shown


@pytest.mark.parametrize(
    ("word", "is_option"),
    [
        ("engine=openai", True),
        ("policy.temperature=0.5", True),
        ("engine@critic.engine=openai", True),
        ("x=3", False),
        ("task=3, what is it?", False),
    ],
)
def test_a_word_names_an_option_if_its_group_exists(word: str, is_option: bool) -> None:
    assert names_option(word) == is_option


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["ask", "--help"]])
def test_a_closed_pipe_ends_without_a_traceback(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "training.cli", *words]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(write)
    assert done.returncode == 1 and not done.stderr


def test_help_with_a_command_is_the_help_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _shown(["help", "compare"], capsys) == _shown(["compare", "--help"], capsys)


def test_a_subcommand_reports_its_errors_under_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare"])
    assert caught.value.code == 2
    assert "longthought compare" in capsys.readouterr().err


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split()[1].count(".") == 2


def test_the_list_of_subcommands_loads_no_model_library() -> None:
    code = (
        "import sys; from training.cli import main; main(['--help']); "
        "assert not {'torch', 'vllm', 'transformers', 'langgraph', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
