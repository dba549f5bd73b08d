"""A task of your own, named in the configuration; the package is not edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.types import BadDataError
from configs import ConfigError, compose
from graphs.runs.driver import run
from graphs.runs.session import Session
from graphs.traces.checked import read_checked
from graphs.traces.store import TraceStore
from tests.extensions import own_task
from tests.scripted_pocket import SCRIPTED
from training.stages.questions import load_training

SUMS = ["task=custom", f"task.object={own_task.__name__}:Sums"]


async def test_an_own_task_runs_and_is_read_again(tmp_path: Path) -> None:
    words = [*SCRIPTED, *SUMS, "task.limit=4", f"run.output_dir={tmp_path}", "run=mine"]
    folder, metrics, _ = run(compose(words))
    assert metrics["questions"] == metrics["accuracy"]["all"]["of"] == 4
    with TraceStore.read(folder) as store:
        questions = [trace.question for trace in store]
    assert {question.task for question in questions} == {"custom_number"}
    _, thoughts, _ = await read_checked(folder)
    assert len(thoughts) <= 4


def test_the_options_reach_the_class() -> None:
    with Session() as session:
        for highest in (2, 5):
            words = [*SUMS, f"task.options={{highest: {highest}}}"]
            assert len(session.load(compose(words)).questions) == highest * (highest + 1) // 2


def test_training_questions_come_from_the_train_split() -> None:
    config = compose([*SUMS, "task.split=test", "task.options={highest: 40}"])
    with Session() as session:
        held_out = {question.hash for question in session.load(config).questions}
    training = load_training(config, 50)
    assert len(training) == 50 and held_out
    assert {question.metadata["split"] for question in training} == {"train"}
    assert not held_out & {question.hash for question in training}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=custom"], r"task\.object is missing"),
        (["task=custom", "task.object=nowhere"], r"task\.object"),
        (["task.object=a.b:C"], r"task\.object is an option of task=custom"),
    ],
)
def test_an_incomplete_configuration_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task.object=no_such:Thing"], r"task\.object \(no_such:Thing\)"),
        (["task.object=tests.extensions.own_critic:Short"], "load"),
        ([SUMS[1], "task.options={higest: 3}"], "higest"),
        ([SUMS[1], "task.options={highest: 0}"], "no question"),
    ],
)
def test_a_wrong_object_is_refused_before_anything_is_asked(words: list[str], message: str) -> None:
    config = compose(["task=custom", *words])
    with Session() as session, pytest.raises((ValueError, BadDataError), match=message):
        session.load(config)
