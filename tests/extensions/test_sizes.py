"""The examples are as short as the design page states."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.glob("own_*.py"))
LONG = {"own_app", "own_engine", "own_method"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_at_most_45_lines_or_160(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= (160 if path.stem in LONG else 45)


def test_every_row_of_the_design_page_has_its_example() -> None:
    assert {path.stem.removeprefix("own_") for path in EXAMPLES} == {
        *("app", "checker", "critic", "engine", "method", "reward", "role", "strategy", "task"),
    }
