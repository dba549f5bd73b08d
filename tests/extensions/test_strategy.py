"""A strategy of one's own, named in the configuration; the package is not edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs import ConfigError, compose
from graphs.reasoner.resources import start_resources
from graphs.runs.driver import run
from graphs.traces.store import TraceStore
from graphs.tree import ROOT, ReasoningTree
from tests.extensions import own_strategy
from tests.scripted_pocket import SCRIPTED

THREE = [*SCRIPTED, "task.size=3"]
FIRST = ["search=custom", f"search.object={own_strategy.__name__}:First"]


def test_an_own_strategy_runs_from_the_configuration(tmp_path: Path) -> None:
    words = [*THREE, *FIRST, "search.options={samples: 3}"]
    folder, metrics, _ = run(compose([*words, f"run.output_dir={tmp_path}", "run=mine"]))
    assert metrics["questions"] == 3
    with TraceStore.read(folder) as store:
        for trace in store:
            assert ReasoningTree.replay(trace.question, trace.events).samples[ROOT] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search=custom"], r"search\.object is missing"),
        (["search=custom", "search.object=nowhere"], r"search\.object"),
    ],
)
def test_an_incomplete_configuration_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.object=no_such:Thing"], r"search\.object \(no_such:Thing\) names a module"),
        (
            ["search.object=tests.extensions.own_critic:Short"],
            "derived from graphs.strategies.base.Strategy",
        ),
        ([FIRST[1], "search.options={samples: 0}"], r"search\.options\.samples"),
        ([FIRST[1], "search.options={smaples: 2}"], "has samples"),
    ],
)
async def test_a_wrong_object_is_refused_before_anything_is_asked(
    words: list[str], message: str
) -> None:
    config = compose([*THREE, "search=custom", *words])
    with pytest.raises(ValueError, match=message):
        await start_resources(config)
