"""Fitting a calibration: hand-made examples with a known answer, hand-made traces, and
the command on the scripted pocket.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from agents.critics.base import no_claim
from agents.critics.calibration import Calibration
from agents.types import BadDataError
from configs import ConfigError, compose
from graphs import calibration
from graphs.evaluation.fit_calibration import (
    Example,
    examples_of,
    fit_calibration,
    fit_families,
    labels_of,
    steps_per_thought,
    text,
)
from graphs.terminal.console import WRONG, guarded
from graphs.traces.checked import read_checked
from graphs.tree import Event, Judged
from tests.graphs.evaluation.test_coverage import (
    LUCKY,
    OTHER,
    SOUND,
    SUM,
    WRONG_END,
    make_run,
    sampled,
)
from tests.graphs.strategies.trees import judged
from tests.scripted_pocket import SCRIPTED


def made(
    number: int, *, slope: float, share: float = 0.5, seed: int = 0, bias: float = 0.0
) -> list[Example]:
    """Returns steps whose log-likelihood ratio is `slope` x logit(score): the logit is
    normal with variance 1 around +-slope/2. `bias` is added per question.
    """
    rng = random.Random(seed)
    examples = []
    for row in range(number):
        question = row // 8
        right = rng.random() < share
        shift = bias * (question % 5 - 2)
        logit = rng.gauss(slope / 2 if right else -slope / 2, 1.0) + shift
        score = 1 / (1 + math.exp(-logit))
        length = rng.randint(5, 40)
        examples.append(
            Example(f"q{question}", "all", score, length, float(right), float(not right))
        )
    return examples


def test_the_line_of_known_evidence_is_found() -> None:
    fit = fit_calibration(made(4000, slope=1.5, share=0.8), labels="steps")
    assert fit.scaling.slope == pytest.approx(1.5, abs=0.15)
    assert fit.scaling.intercept == pytest.approx(0.0, abs=0.15)
    assert fit.scaling.prior == pytest.approx(0.8, abs=0.03)
    assert fit.auc.low < 0.856 < fit.auc.high  # Phi(1.5 / sqrt 2)
    assert fit.is_informative and fit.log_loss < math.log(2) - 0.1
    assert fit.length_auc.low < 0.5 < fit.length_auc.high
    assert fit.shuffled_auc.value == pytest.approx(0.5, abs=0.05)
    assert fit.length_log_loss == pytest.approx(math.log(2), abs=0.02)


def test_a_critic_of_noise_gets_no_weight_unless_forced() -> None:
    examples = made(400, slope=0.0)
    fit = fit_calibration(examples, labels="steps")
    assert not fit.is_informative and (fit.scaling.slope, fit.scaling.intercept) == (0.0, 0.0)
    assert fit.scaling.log_likelihood_ratio(0.01) == 0.0
    forced = fit_calibration(examples, labels="steps", force=True)
    assert forced.auc == fit.auc and abs(forced.scaling.slope) < 0.3


def test_knowing_hard_questions_is_no_evidence_about_steps() -> None:
    rng = random.Random(1)
    examples = []
    for row in range(800):
        question = row // 8
        hard = question % 2 == 0
        right = rng.random() < (0.2 if hard else 0.8)
        score = 0.2 if hard else 0.8
        examples.append(Example(f"q{question}", "all", score, 9, float(right), float(not right)))
    fit = fit_calibration(examples, labels="steps")
    assert fit.auc.value == 0.5 and fit.scaling.slope == 0.0


def test_a_critic_that_is_always_wrong_is_not_turned_round() -> None:
    turned = [
        Example(one.question, one.family, 1 - one.score, one.length, one.right, one.wrong)
        for one in made(800, slope=1.5)
    ]
    fit = fit_calibration(turned, labels="steps", force=True)
    assert fit.auc.high < 0.5 and fit.scaling.slope == 0.0


def test_observations_count_like_repeated_examples() -> None:
    once = made(160, slope=1.0)
    counted = [
        Example(one.question, one.family, one.score, one.length, 2 * one.right, 2 * one.wrong)
        for one in once
    ]
    twice = [one for one in once for _ in range(2)]
    a, b = (fit_calibration(rows, labels="steps", force=True) for rows in (counted, twice))
    assert a.scaling.slope == pytest.approx(b.scaling.slope)
    assert a.num_right == b.num_right


def test_outcomes_give_the_prior_of_a_step_and_not_of_a_thought() -> None:
    examples = made(800, slope=1.0, share=0.3)
    share = sum(one.right for one in examples) / len(examples)
    fit = fit_calibration(examples, labels="outcomes", steps=4.0)
    assert fit.scaling.prior == pytest.approx(share**0.25)
    assert fit.scaling.wrong_below(0.5) < -0.9, "weak evidence rejects no step"
    exact = fit_calibration(examples, labels="steps")
    assert exact.scaling.prior == pytest.approx(share) and exact.scaling.wrong_below(0.5) == 0.0


def test_a_family_with_few_examples_shares_the_common_line() -> None:
    few = [Example("f", "few", 0.9, 5, 1.0, 0.0)]
    fits = fit_families(
        [*made(400, slope=1.5), *few],
        lambda rows: fit_calibration(rows, labels="steps"),
        ["all", "few"],
    )
    assert set(fits) == {"all", "*"} and text(fits, "token")


def test_one_label_alone_is_an_error() -> None:
    with pytest.raises(BadDataError, match=r"task\.limit"):
        fit_calibration([Example("q", "all", 0.9, 5, 1.0, 0.0)], labels="steps")


async def test_outcomes_label_shared_steps_by_their_share(tmp_path: Path) -> None:
    events: list[Event] = [
        sampled(SOUND, WRONG_END, SOUND),
        *(judged(node, 0.0) for node in range(1, 6)),
    ]
    folder = make_run(tmp_path / "run", (SUM, events), (OTHER, [sampled(("Answer: 4",))]))
    _, thoughts, _ = await read_checked(folder)
    assert labels_of(thoughts) == "outcomes" and labels_of(thoughts[:1]) == "steps"
    labels = [(one.right, one.wrong) for one in examples_of(thoughts, "outcomes")]
    # 19 + 8 = 27 lies on all samples
    assert labels == [(2, 1), (2, 0), (2, 0), (0, 1), (0, 1)]
    assert steps_per_thought(thoughts) == pytest.approx((3 + 3 + 3 + 1) / 4)


async def test_an_exact_checker_labels_steps_and_luck_is_wrong(tmp_path: Path) -> None:
    events: list[Event] = [sampled(SOUND, LUCKY), *(judged(node, 0.0) for node in range(1, 7))]
    _, thoughts, _ = await read_checked(make_run(tmp_path / "run", (SUM, events)))
    rights = [one.right for one in examples_of(thoughts, "steps")]
    assert rights[:4] == [1.0, 1.0, 1.0, 0.0]


async def test_steps_without_a_judged_verdict_are_left_out(tmp_path: Path) -> None:
    events: list[Event] = [
        sampled(SOUND),
        Judged(1, no_claim("arithmetic_critic", "local")),
        judged(2, 1.0),
    ]
    _, thoughts, _ = await read_checked(make_run(tmp_path / "run", (SUM, events)))
    assert len(examples_of(thoughts, "steps")) == 1


def fit(*words: str) -> int:
    return guarded(lambda: calibration.main(["fit", *SCRIPTED, *words]))


def test_the_command_fits_stores_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run=judge", f"run.output_dir={tmp_path}", "task.size=10", "critic=token", "--json"]
    assert fit(*words) == 0
    first = capsys.readouterr().out
    path = tmp_path / "judge" / "calibration.json"
    assert json.loads(path.read_text()) == json.loads(first)
    scaling = Calibration.load(path, "token").scaling(None)
    assert scaling is not None and scaling.log_likelihood_ratio(0.95) > 1.0
    assert fit(*words) == 0
    assert capsys.readouterr().out == first
    used = compose([*SCRIPTED, "critic=token", f"critic.calibration={path}"])
    assert used.critic.kind == "token"
    assert calibration.main([str(tmp_path / "judge")]) == 0, "curves of the same run"


@pytest.mark.parametrize("kind", ["random", "arithmetic"])
def test_any_critic_can_be_fitted(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "own.json"
    words = [f"run.output_dir={tmp_path}", "task.size=10", f"critic={kind}", "--out", str(out)]
    assert fit(*words) == 0
    line = json.loads(out.read_text())[kind]["*"]
    assert line["num_right"] > 0 and line["num_wrong"] > 0
    assert (line["a"] > 0) == (line["auc"][1] > 0.5)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("task.split=test", r"validation"),
        ("task.split=train", r"validation"),
        ("search=beam", r"--samples"),
        ("critic.calibration=a.json", r"is set by the fit"),
        ("critic=none", r"critic\.kind is none"),
    ],
)
def test_other_questions_and_searches_are_refused(
    word: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((ValueError, ConfigError), match=says):
        calibration.config_of_fit([*SCRIPTED, word], 4)
    assert fit(word) == WRONG and capsys.readouterr().err
