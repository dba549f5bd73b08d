"""The commands of the README are accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from configs import compose
from configs.cli import is_override
from training.cli import COMMANDS

POCKET = Path(__file__).parents[1] / "agents" / "pocket"
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
_COMMAND = re.compile(r"(?:longthought \w+|python -m [\w.]+)(?: [^`\n|]*)?")


def commands() -> Iterator[list[str]]:
    for match in _COMMAND.finditer(README):
        words = shlex.split(match[0], comments=True)
        if words[:2] != ["longthought", "command"]:  # prose
            yield words


def overrides(words: list[str]) -> list[str]:
    """Returns the options of a command: one run of a sweep, and a model that exists."""
    found = [re.sub(r"=([^\[,]+),.*", r"=\1", word) for word in words if is_override(word)]
    return [word.replace("FOLDER", str(POCKET)) for word in found]


@pytest.mark.parametrize("words", [*commands()], ids=" ".join)
def test_a_command_exists_and_its_options_compose(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if words[0] == "longthought":
        assert words[1] in COMMANDS
        module, arguments = COMMANDS[words[1]].module, words[2:]
    else:
        module, arguments = words[2], words[3:]
    assert import_module(module)
    monkeypatch.chdir(tmp_path)
    for name in ("test.jsonl", "questions.txt"):
        (tmp_path / name).touch()
    if options := overrides(arguments):
        assert compose(options)


def test_the_results_name_their_options() -> None:
    section = README.partition("\n## Results\n")[2].partition("\n## ")[0]
    rows = [row for row in section.splitlines() if "MFLOPs" not in row and row.count("|") == 6]
    found = [re.findall(r"`([^`]+)`", row)[-1] for row in rows if "`" in row]
    assert len(found) == 7
    for options in found:
        compose(["experiment=locks", *options.split()])
