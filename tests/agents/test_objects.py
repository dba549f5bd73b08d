"""Objects of one's own are found by name, or the name is refused with the way out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agents.objects import load_object


def test_a_name_leads_to_its_object() -> None:
    assert load_object("agents.objects:load_object", "search.object") is load_object


WRONG_NAMES = ["", "os", "os:", ":path", "os.path", "os:path.join", "os:sep\n", "os:nothing"]


@pytest.mark.parametrize("name", [*WRONG_NAMES, "no_such_module:x"])
def test_a_wrong_name_is_refused_with_its_option(name: str) -> None:
    with pytest.raises(ValueError, match=r"^search\.object"):
        load_object(name, "search.object")


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_code_of_a_test.py").write_text("answer = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert load_object("my_code_of_a_test:answer", "search.object") == 42


def test_a_module_that_exits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script_of_a_test.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"task\.object .*SystemExit"):
        load_object("script_of_a_test:answer", "task.object")
