"""A policy that takes the samples of a stored run."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs import compose
from graphs import run
from graphs.reasoner.batch import FailedQuestion
from graphs.reasoner.reasoner import Reasoner
from graphs.traces.store import TraceStore
from tests.scripted_pocket import SCRIPTED


def words(folder: Path, name: str, *more: str) -> list[str]:
    return [
        "experiment=pocket_best_of_n",
        *SCRIPTED,
        "task.families=[running]",
        "task.levels=[1]",
        "task.size=3",
        f"run.output_dir={folder}",
        f"run.name={name}",
        "run.show_progress=false",
        *more,
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `plain`: four samples of three questions, not judged."""
    folder = tmp_path_factory.mktemp("runs")
    plain = ["search.num_samples=4", "search.selection=majority", "critic=none"]
    assert run.main(words(folder, "plain", *plain)) == 0
    return folder


def test_another_critic_judges_the_same_samples(folder: Path) -> None:
    judge = ["search.selection=weighted_vote", "critic=pocket"]
    more = [*judge, "search.num_samples=4", f"policy.samples_from={folder / 'plain'}"]
    assert run.main(words(folder, "judged", *more)) == 0
    with TraceStore.read(folder / "plain") as plain, TraceStore.read(folder / "judged") as judged:
        for trace in plain:
            other = judged.get(trace.question.hash, 0)
            assert other.events[0] == trace.events[0]
            assert other.usage["policy"] == trace.usage["policy"]
            assert other.usage["critic"].calls > 0 and "critic" not in trace.usage


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["search.num_samples=8"], "search.num_samples"),
        (
            ["search=beam", "search.num_samples=2", "search.beam_width=2", "critic=pocket"],
            "search=best_of_n",
        ),
    ],
)
def test_what_the_run_does_not_hold_is_refused(folder: Path, more: list[str], reason: str) -> None:
    with TraceStore.read(folder / "plain") as store:
        question = next(iter(store)).question
    options = [*words(folder, "other", *more), f"policy.samples_from={folder / 'plain'}"]
    with Reasoner(options) as reasoner:
        [found] = reasoner.ask_many([question.text])
    assert isinstance(found, FailedQuestion) and reason in found.reason


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    options = words(tmp_path, "other", f"policy.samples_from={tmp_path}")
    assert compose(options).policy.samples_from == str(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)), Reasoner(options) as reasoner:
        reasoner.ask("Compute 1 + 1.")
