"""The README's picture of the graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.types import BadDataError
from graphs.reasoner.graph import create_reasoner
from tests.picture import insert, picture

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_shows_the_compiled_graph() -> None:
    text = README.read_text(encoding="utf-8")
    assert insert(text) == text, "run: python -m tests.picture README.md"


def test_the_picture_has_every_edge() -> None:
    graph = create_reasoner().compile().get_graph()
    assert picture().count("-->") == len(graph.edges) > 10


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(BadDataError, match="graph:begin"):
        insert("a page")
