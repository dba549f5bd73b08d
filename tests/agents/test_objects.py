"""Objects of one's own are found by name, or the name is refused with the way out."""

from __future__ import annotations

import pytest

from agents.objects import load_object


def test_a_name_leads_to_its_object() -> None:
    assert load_object("agents.objects:load_object", "search.object") is load_object


@pytest.mark.parametrize(
    "name", ["", "os", "os:", ":path", "os.path", "os:path.join", "no_such_module:x", "os:nothing"]
)
def test_a_wrong_name_is_refused_with_its_option(name: str) -> None:
    with pytest.raises(ValueError, match=r"^search\.object"):
        load_object(name, "search.object")


def test_a_module_of_the_working_directory_is_found(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_code_of_a_test.py").write_text("answer = 42\n")  # type: ignore[operator]
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path])
    assert load_object("my_code_of_a_test:answer", "search.object") == 42
