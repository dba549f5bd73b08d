"""A critic of one's own, named in the configuration; the package is not edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs import ConfigError, compose
from graphs.reasoner.resources import start_resources
from graphs.runs.driver import run
from graphs.traces.store import TraceStore
from graphs.tree import ReasoningTree
from tests.extensions import own_critic
from tests.scripted_pocket import SCRIPTED

THREE = [*SCRIPTED, "task.size=3"]
SHORT = ["critic=custom", f"critic.object={own_critic.__name__}:Short"]


def test_an_own_critic_judges_every_step_of_a_run(tmp_path: Path) -> None:
    words = [*THREE, *SHORT, "critic.options={limit: 5}"]
    folder, metrics, _ = run(compose([*words, f"run.output_dir={tmp_path}", "run=mine"]))
    assert metrics["questions"] == 3
    with TraceStore.read(folder) as store:
        for trace in store:
            tree = ReasoningTree.replay(trace.question, trace.events)
            found = [verdict for verdicts in tree.verdicts for verdict in verdicts]
            assert found and {verdict.source for verdict in found} == {"custom_critic"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["critic=custom"], r"critic\.object is missing"),
        (["critic=custom", "critic.object=nowhere"], r"critic\.object"),
        (["critic.object=a.b:C"], r"critic\.object is an option of critic=custom"),
    ],
)
def test_an_incomplete_configuration_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["critic.object=no_such:Thing"], r"critic\.object \(no_such:Thing\) names a module"),
        (["critic.object=tests.extensions.own_strategy:First"], "with a method judge"),
        ([SHORT[1], "critic.options={limt: 5}"], r"critic\.options .*limt"),
    ],
)
async def test_a_wrong_object_is_refused_before_anything_is_asked(
    words: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await start_resources(compose([*THREE, "critic=custom", *words]))
