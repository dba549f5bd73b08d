"""Fitting on stored runs: what is refused, what is written, and that what is written is
better and can be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs import compose
from graphs import run
from graphs.evaluation import fit_selector
from graphs.evaluation.calibration import Reader, report
from graphs.evaluation.fit_selector import LADDERS, LEAST_GAIN, fit_assumptions, mean_log_loss
from graphs.reasoner.resources import open_resources
from graphs.strategies import BestOfN
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.strategies.selection import Selector
from graphs.terminal.console import WRONG, guarded
from graphs.traces.checked import CheckedThought, read_checked
from graphs.tree import Event
from tests.graphs.evaluation.test_coverage import OTHER, SOUND, SUM, WRONG_END, make_run, sampled
from tests.graphs.strategies.make import assuming, make
from tests.graphs.strategies.trees import QUESTION
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate

SCRIPTED = (
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
)
BEST_OF_N = ("search=best_of_n", "critic=none")


def thoughts_of(worlds: int, **options: Any) -> list[CheckedThought]:
    """Returns best-of-8 searches of as many worlds, with the truth about their
    answers.
    """
    thoughts = []
    for seed in range(worlds):
        tree = simulate(
            make(BestOfN, 8, Selector("best")), World(seed, depth=3, **options), seed=seed
        ).tree
        answers = [tree.step(leaf).answer or "" for leaf in tree.answer_leaves()]
        thoughts.append(
            CheckedThought(
                QUESTION, tree, {answer: answer == RIGHT_ANSWER for answer in answers}, None
            )
        )
    return thoughts


def test_no_single_change_of_one_value_improves_the_fitted_assumptions() -> None:
    thoughts = thoughts_of(20)
    start = assuming(wrong_answers=5.0, logprob_weight=0.0, abort_rate=0.1)
    fit = fit_assumptions(thoughts, start)
    assert (
        fit.before == mean_log_loss(thoughts, start)
        and fit.after == mean_log_loss(thoughts, fit.belief_model) < fit.before
    )
    for name, ladder in LADDERS.items():
        changes: list[dict[str, Any]] = [{name: value} for value in ladder]
        assert (
            min(
                mean_log_loss(
                    thoughts, assuming(**fit.belief_model.assumptions.model_dump() | change)
                )
                for change in changes
            )
            >= fit.after - LEAST_GAIN
        )
        assert getattr(fit.belief_model.assumptions, name) in (
            *ladder,
            getattr(start.assumptions, name),
        )


def test_what_the_loss_does_not_depend_on_is_kept() -> None:
    """Without verdicts their weight means nothing."""
    thoughts = thoughts_of(15, flip_rate=0.5)
    fit = fit_assumptions(thoughts, assuming(evidence_weight=0.77))
    assert "evidence_weight" in fit.flat and fit.belief_model.assumptions.evidence_weight == 0.77
    assert "right_rate" not in fit.flat
    assert fit.belief_model.abort_rate == 0.0 and "abort_rate" not in fit.flat, (
        "a policy that is not taken to doubt is not made to"
    )


def validation(
    folder: Path, *, split: str = "validation", search: tuple[str, ...] = BEST_OF_N
) -> Path:
    first: list[Event] = [sampled(SOUND, WRONG_END, SOUND)]
    second: list[Event] = [sampled(("Answer: 5",))]
    return make_run(folder, (SUM, first), (OTHER, second), words=(*search, f"task.split={split}"))


@pytest.mark.parametrize("split", ["test", "null"])
def test_test_questions_are_refused_unless_allowed(
    tmp_path: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl = ("task=jsonl", f"task.path={tmp_path}") if split == "null" else ()
    folder, out = (
        validation(tmp_path / "run", split=split, search=(*BEST_OF_N, *jsonl)),
        tmp_path / "selector.json",
    )
    assert (
        guarded(lambda: fit_selector.main([str(folder), "--out", str(out)])) == WRONG
        and not out.exists()
    )
    said = capsys.readouterr().err
    assert (
        f"task.split={split}" in said and "task.split=validation" in said and "--allow-test" in said
    )
    assert fit_selector.main([str(folder), "--out", str(out), "--allow-test"]) == 0 and out.exists()


def test_searches_that_drop_samples_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = validation(tmp_path / "run", search=("search=beam",))
    assert (
        guarded(lambda: fit_selector.main([str(folder), "--out", str(tmp_path / "selector.json")]))
        == WRONG
    )
    assert "search=beam" in capsys.readouterr().err


def test_a_selector_says_what_it_was_fitted_on_and_two_runs_are_one_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(validation(tmp_path / name)) for name in ("first", "second")]
    out = tmp_path / "selector.json"
    assert fit_selector.main([*runs, "--out", str(out)]) == 0
    model = AnswerModel.load(out)
    assert (model.fitted_on, model.questions, model.many_answers) == (("first", "second"), 4, False)
    assert "4 questions with an answer, of first, second" in capsys.readouterr().out
    assert (
        fit_selector.main([runs[0], "--out", str(out), "--many-answers"]) == 0
        and AnswerModel.load(out).many_answers
    )


async def test_a_run_is_held_to_the_selector_that_it_was_begun_with(tmp_path: Path) -> None:
    """By its content: the same file at another place is the same."""
    one, same, other = (tmp_path / f"{name}.json" for name in ("one", "same", "other"))
    for path, weight in ((one, 1.0), (same, 1.0), (other, 2.0)):
        AnswerModel((weight,) * 5).save(path)
    hashes = []
    for path in (one, same, other):
        async with open_resources(
            compose([*SCRIPTED, "search=posterior", f"search.selector_model={path}"])
        ) as resources:
            hashes.append(resources.contents["search.selector_model"])
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(ValueError, match=r"search\.many_answers \(true\)"):
        async with open_resources(
            compose(
                [
                    *SCRIPTED,
                    "search=posterior",
                    f"search.selector_model={one}",
                    "search.many_answers=true",
                ]
            )
        ):
            pass


def test_what_is_fitted_on_a_run_is_used_by_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SCRIPTED, f"run.output_dir={tmp_path}", "task.split=validation", "reflector=none"]
    samples = [
        "search=best_of_n",
        "search.num_samples=6",
        "search.selection=weighted_vote",
        "policy.logprobs=always",
    ]
    assert run.main([*words, "run=samples", *samples, "task.size=20"]) == 0
    folder, selector = str(tmp_path / "samples"), tmp_path / "selector.json"
    assert fit_selector.main([folder, "--out", str(selector)]) == 0
    assert (
        run.main(
            [
                *words,
                "run=next",
                "search=posterior",
                f"search.selector_model={selector}",
                "task.size=5",
            ]
        )
        == 0
    )

    (tmp_path / "experiment").mkdir()
    capsys.readouterr()
    assert (
        fit_selector.main(
            [folder, "--assumptions", "--out", str(tmp_path / "experiment" / "fitted.yaml")]
        )
        == 0
    )
    printed = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("search.")
    )
    composed = compose([f"hydra.searchpath=[file://{tmp_path}]", "experiment=fitted"]).search
    assert (
        composed
        == compose(["search=posterior", *printed.split()]).search
        != compose(["search=posterior"]).search
    )


async def test_the_loss_that_the_fit_tells_is_the_one_that_calibration_tells(
    tmp_path: Path,
) -> None:
    config, thoughts, _ = await read_checked(validation(tmp_path / "run"))
    reader = Reader(config)
    [every, *_] = report(thoughts, reader)
    assert every["answers"]["log_loss_of_right_answer"] == pytest.approx(
        mean_log_loss(thoughts, reader.search("user").belief_model)
    )
