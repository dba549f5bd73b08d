"""The code uses no word that tests/language.py lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import language
from tests.language import FOLDERS, PAGES, ROOT, files, findings_of


def test_no_listed_word_or_name_is_used() -> None:
    paths = list(files([ROOT / name for name in (*FOLDERS, *PAGES)]))
    assert len(paths) > 400
    assert not [str(finding) for path in paths for finding in findings_of(path)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('"""The strategy says what comes next."""\n', "says"),
        ("x = 1  # nobody reads it\n", "nobody"),
        ('raise ValueError("the caller is told")\n', "is told"),
        ("def house() -> None: ...\n", "house"),
        ("to_weigh = 3\n", "to_weigh"),
    ],
)
def test_a_listed_word_is_found(
    source: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [(finding.line, finding.text) for finding in findings_of(path)] == [(1, text)]


def test_texts_of_data_are_not_prose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text('QUESTION = "Who wrote it? Nobody says."\n')
    assert not list(findings_of(path))
