"""A checker of your own, named in the configuration; the package is not edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.answers import Checkers
from agents.types import Question
from configs import compose
from graphs import Reasoner
from graphs.runs.driver import run
from graphs.traces.checked import read_checked
from tests.extensions import own_checker
from tests.scripted_pocket import SCRIPTED

SUMS = ["task=custom", "task.object=tests.extensions.own_task:Sums", "task.limit=4"]


def checker(name: str) -> str:
    return f"task.checker={own_checker.__name__}:{name}"


async def test_an_own_checker_decides_at_the_run_and_when_traces_are_read(
    tmp_path: Path,
) -> None:
    for name, right in (("never", 0), ("always", 4)):
        words = [*SCRIPTED, *SUMS, checker(name), f"run.output_dir={tmp_path}", f"run={name}"]
        folder, metrics, _ = run(compose(words))
        assert metrics["accuracy"]["all"]["right"] == right
        _, thoughts, _ = await read_checked(folder)
        assert {is_right for thought in thoughts for is_right in thought.right.values()} == {
            right > 0
        }


def test_an_own_checker_serves_every_task() -> None:
    question = Question(text="Compute 3 + 4.", gold="17", task="svamp")
    with Reasoner([*SCRIPTED, checker("same_last_digit")]) as reasoner:
        assert reasoner.ask(question).correct is True
    with Reasoner(SCRIPTED) as reasoner:
        assert reasoner.ask(question).correct is False


@pytest.mark.parametrize("name", ["broken", "undecided", "exhausted", "exits"])
async def test_a_checker_that_fails_leaves_the_answer_unchecked(name: str, tmp_path: Path) -> None:
    checkers = Checkers(f"{own_checker.__name__}:{name}")
    result = await checkers.check(Question(text="q", gold="1"), "1")
    assert result.outcome == "failed" and result.correct is None and name in result.reason
    words = [*SCRIPTED, *SUMS, checker(name), f"run.output_dir={tmp_path}", "run=mine"]
    _, metrics, _ = run(compose(words))
    assert sum(metrics["unchecked"].values()) == 4


async def test_the_first_failure_of_a_checker_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    checkers = Checkers(f"{own_checker.__name__}:broken")
    for answer in ("1", "2"):
        await checkers.check(Question(text="q", gold="1"), answer)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "KeyError" in caplog.text


async def test_an_empty_answer_is_no_answer() -> None:
    checkers = Checkers(f"{own_checker.__name__}:always")
    assert (await checkers.check(Question(text="q", gold="1"), " ")).outcome == "no_answer"


@pytest.mark.parametrize("name", ["no_such:thing", f"{own_checker.__name__}:nothing"])
def test_a_name_without_a_function_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"task\.checker"):
        Checkers(name)
    with pytest.raises(ValueError, match=r"task\.checker"):
        Reasoner([*SCRIPTED, f"task.checker={name}"]).__enter__()
