"""The benchmarks run, and print numbers. How large these are is no test's business."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.bench.__main__ import SECTIONS, main
from tests.bench.overhead import widened
from tests.bench.profile import ROOT, group_of


def test_a_decision_is_measured_on_a_tree_of_the_wanted_size() -> None:
    assert widened("mcts", 400).config.num_simulations == 400
    assert widened("beam", 400).config.num_samples == 40
    assert widened("critique_loop", 400).config.max_children == 16


@pytest.mark.slow
def test_the_sections_without_a_model_have_their_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sections = ["overhead", "questions", "orchestration", "admission"]
    main([*sections, "--quick", "--json", str(tmp_path / "bench.json")])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert list(results) == sections
    for section in sections:
        assert f"== {section}" in printed
        for table in results[section]["tables"]:
            assert table["rows"] and table["title"] in printed
            for row in table["rows"]:
                assert all(math.isfinite(row[name]) for name in ("median", "min", "max")), row


def test_an_unknown_name_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    said = capsys.readouterr().err
    assert all(name in said for name in SECTIONS)


def test_time_belongs_to_the_package_whose_file_it_is() -> None:
    assert group_of("/somewhere/site-packages/langchain_core/runnables/config.py") == "LangGraph"
    assert group_of("/somewhere/site-packages/jinja2/environment.py") == "jinja2"
    assert group_of(str(ROOT / "graphs" / "nodes.py")) == "ours: graphs"
    assert group_of("/usr/lib/python3.11/asyncio/tasks.py") == "asyncio"
    assert group_of("<string>") is None and group_of("/usr/lib/python3.11/dataclasses.py") is None
