"""A whole comparison, run by run, on the scripted pocket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from configs import RunConfig
from configs.schema import SearchComparisonConfig
from graphs import run
from graphs.evaluation.search_comparison.__main__ import main as report
from graphs.evaluation.search_comparison.cells import greedy, is_finished
from graphs.evaluation.search_comparison.pools import DRAWS
from graphs.runs import driver
from graphs.runs.session import Session
from graphs.terminal.console import WRONG, guarded
from graphs.traces.store import TraceStore

WORDS = [
    *(
        "-m",
        "experiment=search_comparison",
        "engine=scripted",
        "engine.function=tests.scripted_pocket:Pocket",
    ),
    *(
        "run=small",
        "run.show_progress=false",
        "comparison.size=3",
        "comparison.validation_size=2",
        "comparison.pool_samples=8",
    ),
    *(
        "comparison.validation_samples=4",
        "comparison.budgets=[4]",
        "comparison.large_budget=null",
        "comparison.seeds=1",
    ),
    *(
        "comparison.samplings=[{name: t1, words: 'policy.temperature=1.0'}]",
        "comparison.flip_rates=[0.0]",
    ),
    "comparison.families=[{name: running, levels: [1]}, {name: countdown, levels: [3], "
    "verifies_itself: true}]",
    "comparison.strategies=[{name: beam, candidates: ['search=beam search.num_samples={n} "
    "search.beam_width={width}']}]",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison."""
    runs = tmp_path_factory.mktemp("runs")
    assert run.main([*WORDS, f"run.output_dir={runs}"]) == 0
    return runs / "small"


def test_one_command_leaves_tables_json_figures_and_a_run_for_every_cell(folder: Path) -> None:
    document = json.loads((folder / "comparison.json").read_text())
    assert not document["missing"] and list(document["groups"]) == ["others", "self_verifying"]
    others = document["groups"]["others"]
    assert others["questions"] == 3 and others["families"] == {"running": [1]}
    assert {row["method"] for row in others["rows"]} == {
        *(
            "greedy",
            "majority",
            "logprob_vote",
            "logprob_beam",
            "weighted_vote",
            "best_of_n",
            "beam",
        )
    }
    assert set(others["closures"]) == {"weighted_vote", "best_of_n", "beam"}
    assert {(row["critic"], row["method"]) for row in others["controls"]} == {
        (critic, method)
        for critic in ("random", "length", "logprob")
        for method in ("weighted_vote", "best_of_n", "beam")
    }
    for row in others["loss_attribution"]:
        assert sum(row["shares"].values()) == pytest.approx(1.0)
    by_critic = {setting["critic"]: setting for setting in others["noise_sweep"]}
    assert (
        by_critic["oracle0"]["sibling_accuracy"] == by_critic["working"]["sibling_accuracy"] == 1.0
    ), "the scripted critic is always right"
    for name in ("accuracy.svg", "noise_sweep.svg", "loss_attribution.svg"):
        assert (folder / name).read_text().rstrip().endswith("</svg>")
    text = (folder / "comparison.md").read_text()
    assert "(chosen on validation) at N = 4: closure" in text and "with its free check" in text
    assert sorted(path.name for path in (folder / "validation" / "running").iterdir()) == [
        "beam.0-4-working-seed0",
        "greedy",
        "pool-t1-none",
        "pool-t1-working",
    ]
    assert all((path / "report.md").is_file() for path in (folder / "test" / "countdown").iterdir())


def test_a_free_check_never_does_harm_and_coverage_is_its_limit(folder: Path) -> None:
    document = json.loads((folder / "comparison.json").read_text())
    countdown = document["groups"]["self_verifying"]
    for row in countdown["rows"]:
        error = 4 * 0.5 / (3 * DRAWS) ** 0.5  # of a vote, which is drawn; everything else is exact
        assert row["accuracy_with_free_check"]["value"] >= row["accuracy"]["value"] - error
    checked = next(
        row for row in countdown["rows"] if (row["method"], row["n"]) == ("majority", 4)
    )["accuracy_with_free_check"]["value"]
    assert checked == pytest.approx(countdown["ceilings"]["coverage"]["4"])


def test_the_same_command_runs_only_missing_cells(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    carry_out = driver.run

    def recorded(config: RunConfig, session: Session) -> Any:
        asked.append(config.run.name or "")
        return carry_out(config, session)

    monkeypatch.setattr(
        "graphs.run.run",
        recorded,
    )
    before = (folder / "comparison.json").read_text()
    (folder / "test" / "running" / "greedy" / "metrics.json").unlink()
    assert report([str(folder)]) == 0
    assert json.loads((folder / "comparison.json").read_text())["missing"] == [
        "test/running/greedy"
    ]
    assert run.main([*WORDS, f"run.output_dir={folder.parent}"]) == 0
    assert (
        asked == ["greedy"] and ("3 of 3 questions are finished already") in capsys.readouterr().err
    )
    assert (folder / "comparison.json").read_text() == before


def test_families_without_a_finished_cell_are_left_out(folder: Path, tmp_path: Path) -> None:
    unfinished = Path(shutil.copytree(folder, tmp_path / "unfinished"))
    for metrics in unfinished.glob("test/countdown/*/metrics.json"):
        metrics.unlink()
    assert report([str(unfinished)]) == 0
    document = json.loads((unfinished / "comparison.json").read_text())
    assert list(document["groups"]) == ["others"] and all(
        "countdown" in cell for cell in document["missing"]
    )
    for metrics in unfinished.glob("test/*/*/metrics.json"):
        metrics.unlink()
    assert guarded(lambda: report([str(unfinished)])) == WRONG


def test_a_cell_that_is_meant_otherwise_now_is_refused_with_the_difference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("levels: [1]", "levels: [2]") for word in WORDS]
    plan = (folder / "plan.json").read_text()
    assert guarded(lambda: run.main([*words, f"run.output_dir={folder.parent}"])) == WRONG
    assert "task.levels: [1] -> [2]" in capsys.readouterr().err
    assert (folder / "plan.json").read_text() == plan


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "comparison.strategies=[{name: beam, candidates: ['search=beem']}]",
            "did you mean search=beam",
        ),
        (
            "comparison.strategies=[{name: beam, candidates: ['search=beam "
            "search.num_samples={m}']}]",
            "neither {n} nor {width}",
        ),
        ("comparison.families=[{name: runing}]", "'runing' is not a family"),
        ("comparison.families=[{name: running, levels: [99]}]", "99"),
        (
            "comparison.noise_sweep=dvts",
            "comparison.noise_sweep (dvts) must be one of comparison.strategies",
        ),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_run(
    wrong: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: run.main([*WORDS, wrong, f"run.output_dir={tmp_path}"])) == WRONG
    assert message in capsys.readouterr().err and not (tmp_path / "small").exists()


def test_a_comparison_is_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: run.main([word for word in WORDS if word != "-m"])) == WRONG
    assert "add -m" in capsys.readouterr().err


def test_a_folder_without_a_comparison_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: report([str(tmp_path)])) == WRONG
    assert "holds no plan.json" in capsys.readouterr().err


def test_cells_keep_their_questions_apart(folder: Path) -> None:
    asked = {}
    for split in ("validation", "test"):
        with TraceStore.read(folder / split / "running" / "greedy") as store:
            asked[split] = {question for question, _ in store.finished()}
    assert len(asked["test"]) == 3 and not asked["validation"] & asked["test"]


def test_a_cell_with_fewer_questions_than_it_should_have_is_not_finished(folder: Path) -> None:
    comparison = SearchComparisonConfig.model_validate_json((folder / "plan.json").read_text())
    cell = greedy(comparison, "test", comparison.families[0])
    assert is_finished(cell, folder)
    assert not is_finished(
        greedy(comparison.model_copy(update={"size": 4}), "test", comparison.families[0]), folder
    )
