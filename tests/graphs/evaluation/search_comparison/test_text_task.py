"""A comparison on questions in words, with another model and a transfer task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agents.types import split_of
from graphs import run
from graphs.evaluation.search_comparison.results import FILE
from graphs.traces.store import FILE_NAME, TraceStore
from tests.scripted_chat import question

CHAT = "engine.function=tests.scripted_chat:Chat"


def words_of(folder: Path) -> list[str]:
    """Returns the command line of a small comparison, whose questions are in
    `folder`.
    """
    rows = [
        {"question": question(first, second), "answer": str(first + second)}
        for first in range(5, 25)
        for second in range(5, 25)
    ]
    path = folder / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sum(split_of(row["question"]) == "test" for row in rows) > 6
    task = f"task=jsonl task.path={path}"
    return [
        "-m",
        "comparison=search",
        "search=best_of_n",
        "policy=math",
        "critic=chat",
        "reflector=none",
        "summarizer=chat",
        "summarizer.kind=neutral",
        "budget.max_tokens=null",
        "budget.max_calls=null",
        "engine=scripted",
        CHAT,
        "comparison.guided_sampling=majority",
        "comparison.large_budget=null",
        "comparison.seeds=1",
        "comparison.noise_sweep=null",
        f"run.output_dir={folder}",
        "run.name=small",
        "run.show_progress=false",
        "comparison.size=6",
        "comparison.validation_size=3",
        "comparison.pool_samples=4",
        "comparison.validation_samples=4",
        "comparison.budgets=[2,4]",
        "comparison.search_budgets=[2]",
        "comparison.selected_size=2",
        "comparison.flip_rates=[0.0,0.5]",
        f"comparison.families=[{{name: sums, words: '{task}'}},"
        f"{{name: others, words: '{task}', transfer: true, size: 4}}]",
        "comparison.samplings=[{name: hot, words: 'policy.temperature=1.0'},"
        "{name: cool, words: 'policy.temperature=0.5'}]",
        "comparison.critics=[{name: judge, words: 'critic=chat'}]",
        "comparison.models=[{name: large, words: 'engine.latency_s=0.0', samples: 2, size: 3}]",
        "comparison.strategies=[{name: beam, candidates: ['search=beam search.num_samples={n} "
        "search.beam_width=1']}]",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison."""
    runs = tmp_path_factory.mktemp("runs")
    assert run.main(words_of(runs)) == 0
    return runs / "small"


def test_every_method_is_measured_on_the_questions_it_was_run_on(folder: Path) -> None:
    groups = json.loads((folder / "comparison.json").read_text())["groups"]
    assert list(groups) == ["others", "others_first", "transfer", "transfer_first"]
    methods = {(row["method"], row["n"], row["critic"]) for row in groups["others"]["rows"]}
    assert {
        ("greedy", 1, "none"),
        ("large greedy", 1, "none"),
        ("majority", 4, "none"),
        ("weighted_vote", 4, "judge"),
        ("weighted_vote", 4, "random"),
        ("beam", 2, "judge"),
    } <= methods
    assert ("large majority", 2, "none") not in methods
    first = {(row["method"], row["n"]) for row in groups["others_first"]["rows"]}
    assert ("large majority", 2) in first and groups["others_first"]["questions"] <= 3
    assert groups["transfer"]["questions"] == 4


def test_a_judge_that_is_always_right_reaches_the_coverage(folder: Path) -> None:
    groups = json.loads((folder / "comparison.json").read_text())["groups"]
    rows = {
        (row["method"], row["n"], row["critic"]): row["accuracy"]["value"]
        for row in groups["others"]["rows"]
    }
    coverage = groups["others"]["ceilings"]["coverage"]["4"]
    assert rows["best_of_n", 4, "judge"] == pytest.approx(coverage)
    assert rows["best_of_n", 4, "oracle0"] == pytest.approx(coverage)
    assert rows["best_of_n", 4, "random"] < coverage


def test_verdicts_are_on_the_stored_samples(folder: Path) -> None:
    family = folder / "test" / "sums"
    [judged] = family.glob("pool-*-judge")
    plain = family / judged.name.replace("-judge", "-none")
    with TraceStore.read(plain) as before, TraceStore.read(judged) as after:
        for trace in before:
            other = after.get(trace.question.hash, 0)
            assert other.events[0] == trace.events[0]
            assert other.usage["policy"] == trace.usage["policy"]
            assert other.usage["critic"].calls > 0


def test_results_survive_without_traces(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "small"
    shutil.copytree(folder, copy)
    before = json.loads((copy / "comparison.json").read_text())
    for path in copy.rglob(f"{FILE_NAME}*"):
        path.unlink()
    assert (copy / "test" / "sums" / "greedy" / FILE).is_file()
    from graphs.evaluation.search_comparison.report.report import write_report

    write_report(copy)
    assert json.loads((copy / "comparison.json").read_text()) == before
