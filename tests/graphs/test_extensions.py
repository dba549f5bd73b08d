"""A strategy and a critic of one's own, named in the configuration; the package is not
edited.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import Field

from agents.critics.base import make_verdict
from agents.types import Meter, Question, Step, Verdict
from configs import ConfigError, compose
from configs.schema.base import Group
from graphs.run import run
from graphs.strategies.base import Strategy
from graphs.strategies.build import build_strategy
from graphs.traces.store import TraceStore
from graphs.tree import ROOT, Expansion, ReasoningTree

SCRIPTED = ["engine=scripted", "engine.function=tests.scripted_pocket:Pocket", "task.size=3"]


class FirstOptions(Group):
    """Options of `First`."""

    samples: int = Field(2, ge=1)
    """Whole answers that are sampled."""


@dataclass(frozen=True)
class First(Strategy):
    """Samples whole answers and takes the first."""

    config: FirstOptions

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        missing = self.config.samples - int(tree.samples[ROOT])
        return [Expansion(ROOT, n=missing, horizon="answer")] if missing > 0 else []

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return list(new_nodes)

    def choose(self, tree: ReasoningTree) -> int | None:
        return next(iter(tree.finals()), None)


class Short:
    """A critic: short steps are right."""

    def __init__(self, limit: int = 40) -> None:
        self.limit = limit

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        right = len(steps[-1].content.reveal().text) <= self.limit
        score, evidence = (0.9, 2.0) if right else (0.1, -2.0)
        return make_verdict(score, evidence, source="custom_critic", scope="local")


MINE = ["search=custom", f"search.object={__name__}:First", "search.options={samples: 3}"]
JUDGED = ["critic=custom", f"critic.object={__name__}:Short", "critic.options={limit: 5}"]


def test_a_strategy_and_a_critic_of_ones_own_run_from_the_configuration(tmp_path: Path) -> None:
    folder, metrics, _ = run(
        compose([*SCRIPTED, *MINE, *JUDGED, f"run.output_dir={tmp_path}", "run=mine"])
    )
    assert metrics["questions"] == 3
    with TraceStore.read(folder) as store:
        for trace in store:
            tree = ReasoningTree.replay(trace.question, trace.events)
            assert tree.samples[ROOT] == 3
            found = [verdict.source for verdicts in tree.verdicts for verdict in verdicts]
            assert found and set(found) == {"custom_critic"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search=custom"], r"search\.object is missing"),
        (["search=custom", "search.object=nowhere"], r"search\.object"),
        (["critic=custom"], r"critic\.object"),
        (["critic.object=a.b:C"], r"critic\.object is an option of critic=custom"),
    ],
)
def test_an_incomplete_configuration_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.object=no_such:Thing"], r"search\.object \(no_such:Thing\) names a module"),
        ([f"search.object={__name__}:Short"], "derived from graphs.strategies.base.Strategy"),
        (
            [f"search.object={__name__}:First", "search.options={samples: 0}"],
            r"search\.options\.samples",
        ),
        ([f"search.object={__name__}:First", "search.options={smaples: 2}"], "has samples"),
    ],
)
def test_a_wrong_object_is_refused_before_anything_is_asked(words: list[str], message: str) -> None:
    config = compose(["search=custom", *words])
    with pytest.raises(ValueError, match=message):
        build_strategy(config)
