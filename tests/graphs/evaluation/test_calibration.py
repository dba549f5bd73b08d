"""Calibration curves: hand-made beliefs, hand-made traces, and a whole run of the
scripted pocket.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from configs import ConfigError, compose
from graphs import run
from graphs.evaluation import calibration
from graphs.evaluation.calibration import Reader, log_loss, reliability
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.terminal.console import WRONG, guarded
from graphs.traces.checked import read_checked
from graphs.tree import Event
from tests.graphs.evaluation.test_coverage import (
    CUT,
    LUCKY,
    OTHER,
    SOUND,
    SUM,
    WRONG_END,
    make_run,
    sampled,
)
from tests.graphs.strategies.trees import judged


def test_a_curve_by_hand() -> None:
    curve = reliability([0.05, 0.95, 0.95, 1.0, 0.31], [False, True, False, True, True])
    assert [(one.low, one.high, one.right.successes, one.right.total) for one in curve.bins] == [
        (0, 0.1, 0, 1),
        (0.3, 0.4, 1, 1),
        (0.9, 1, 2, 3),
    ]
    assert [one.believed for one in curve.bins] == pytest.approx([0.05, 0.31, 2.9 / 3])
    assert curve.expected_calibration_error == pytest.approx(
        (0.05 + 0.69 + 3 * abs(2.9 / 3 - 2 / 3)) / 5
    )
    assert curve.brier_score == pytest.approx((0.05**2 + 0.05**2 + 0.95**2 + 0 + 0.69**2) / 5)
    assert curve.log_loss == pytest.approx(
        -(math.log(0.95) * 2 + math.log(0.05) + math.log(0.31)) / 5
    )
    assert reliability([], []).bins == () and math.isnan(reliability([], []).brier_score)


def test_true_frequencies_have_no_calibration_error_and_their_entropy() -> None:
    rng = random.Random(0)
    believed = [rng.random() for _ in range(20000)]
    curve = reliability(believed, [rng.random() < p for p in believed])
    assert curve.expected_calibration_error < 0.02
    assert curve.brier_score == pytest.approx(1 / 6, abs=0.01) and curve.log_loss == pytest.approx(
        0.5, abs=0.01
    )
    assert all(
        one.right.interval[0] - 0.02 < one.believed < one.right.interval[1] + 0.02
        for one in curve.bins
    )


def test_to_be_sure_of_what_is_wrong_costs_much_and_not_infinitely_much() -> None:
    assert (
        log_loss({"4": 1.0}, {"4": False})
        == reliability([1.0], [False]).log_loss
        == pytest.approx(-math.log(1e-6))
    )


def test_the_log_loss_is_of_the_right_answer_or_of_none() -> None:
    belief = {"4": 0.5, "5": 0.3}
    assert log_loss(belief, {"4": False, "5": True}) == pytest.approx(-math.log(0.3))
    assert log_loss(belief, {"4": False, "5": False}) == pytest.approx(-math.log(0.2))
    assert log_loss(belief, {"4": True, "5": True}, many_answers=True) == pytest.approx(
        -(math.log(0.5) + math.log(0.3)) / 2
    )
    assert log_loss({}, {}) == 0.0
    sure = (
        log_loss({"4": 0.7, "5": 0.3 + 1e-12}, {"4": True, "5": True}),
        reliability([1.0], [True]).log_loss,
    )
    assert [str(loss) for loss in sure] == ["0.0", "0.0"], "neither less than nothing nor -0.0"


def verdicts(*evidence: float) -> list[Event]:
    return [judged(node + 1, llr) for node, llr in enumerate(evidence)]


async def test_answers_are_checked_one_by_one_and_steps_by_the_family(tmp_path: Path) -> None:
    """Nodes: 1 to 3 sound, 4 to 6 lucky, and below 1 a wrong end (7, 8) and a step that
    was cut (9).
    """
    folder = make_run(
        tmp_path / "run",
        (SUM, [sampled(SOUND, LUCKY, WRONG_END, CUT)]),
        (OTHER, [sampled(("Answer: 5",))]),
    )
    _, [thought, other], left_out = await read_checked(folder)
    assert not left_out and (thought.family, other.family) == ("running", "gsm8k")
    assert thought.right == {"216": True, "206": False} and other.right == {"5": False}
    truth = thought.truth()
    assert truth is not None and other.truth() is None
    assert truth.right[thought.tree.path(3)].tolist() == [True, True, True]
    assert truth.right[thought.tree.path(8)].tolist() == [True, False, True]
    assert not truth.right[4]


async def test_siblings_are_compared_below_right_steps_only(tmp_path: Path) -> None:
    """Below the question: 27 (right, +1) beats 28 (wrong, -1). Below 27: 216 (right,
    +1) ties with 206 (wrong, +1).
    """
    events = [sampled(SOUND, LUCKY, WRONG_END), *verdicts(1.0, 1.0, 0.5, -1.0, 2.0, 0.0, 1.0, 2.0)]
    words = ("search=best_of_n", "search.selection=best")
    config, thoughts, _ = await read_checked(make_run(tmp_path / "run", (SUM, events), words=words))
    [row] = calibration.report(thoughts, Reader(config))
    critic = row["verdicts"]
    assert critic["siblings"] == {"pairs": 2, "accuracy": 0.75}
    assert critic["steps"] == 8 and sum(one["of"] for one in critic["bins"]) == 8
    truth = thoughts[0].truth()
    assert truth is not None
    right = truth.right[1:9].sum()
    assert critic["right"] == right / 8 and sum(one["right"] for one in critic["bins"]) == right


async def test_a_run_without_verdicts_says_nothing_of_the_critic(tmp_path: Path) -> None:
    config, thoughts, _ = await read_checked(
        make_run(tmp_path / "run", (SUM, [sampled(SOUND, SOUND)]), (OTHER, [sampled(CUT)]))
    )
    every, gsm8k, running = calibration.report(thoughts, Reader(config))
    assert every["verdicts"] is gsm8k["verdicts"] is running["verdicts"] is None
    assert (
        every["answers"]["questions"],
        every["answers"]["unanswered"],
        gsm8k["answers"]["bins"],
    ) == (2, 1, [])
    assert "1 of them without an answer" in calibration.text(every) and calibration.text(gsm8k)


async def test_words_change_what_is_assumed(tmp_path: Path) -> None:
    config, [thought], _ = await read_checked(
        make_run(tmp_path / "run", (SUM, [sampled(SOUND, LUCKY, WRONG_END)]))
    )
    AnswerModel((0.0,) * 5).save(tmp_path / "even.json")
    even = Reader(config, [f"search.selector_model={tmp_path}/even.json"]).infer(thought.tree)
    assert even == pytest.approx({"216": 1 / 3, "206": 1 / 3})
    plain = Reader(config).infer(thought.tree)
    assert (
        Reader(config, ["search.wrong_answers=1000"]).infer(thought.tree)["216"]
        > plain["216"]
        > plain["206"]
    )
    own = compose(
        [
            "search=posterior",
            "search.wrong_answers=1000",
            "search.accident=1e-05",
            f"search.selector_model={tmp_path}/even.json",
        ]
    )
    assert Reader(own).options == own.search
    assert Reader(config).options.abort_rate == 0 and own.search.abort_rate is None, (
        "whole answers go through their doubts"
    )
    with pytest.raises(ValueError, match=r"task\.size=3 does not say how a tree is read"):
        Reader(config, ["task.size=3"])
    with pytest.raises(ConfigError, match=r"did you mean search\.accident"):
        Reader(config, ["search.acident=0.3"])


def test_a_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scripted = [
        "engine=scripted",
        "engine.function=tests.scripted_pocket:Pocket",
        f"run.output_dir={tmp_path}",
    ]
    assert (
        run.main([*scripted, "run=sure", "search=posterior", "task.size=15", "reflector=none"]) == 0
    )
    capsys.readouterr()
    folder = str(tmp_path / "sure")
    assert calibration.main([folder, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["family"] for row in rows] == [
        "all",
        "countdown",
        "equations",
        "legs",
        "locks",
        "running",
    ]
    assert rows[0]["verdicts"]["siblings"]["accuracy"] == 1.0, "its critic is always right"
    for row in rows:
        assert (
            sum(one["of"] for one in row["answers"]["bins"])
            == row["answers"]["questions"] - row["answers"]["unanswered"]
        )
        assert row["verdicts"]["brier_score"] < 0.25
    assert rows[0]["verdicts"]["steps"] == sum(row["verdicts"]["steps"] for row in rows[1:])
    assert calibration.main([folder, "search.evidence_weight=0"]) == 0
    shown = capsys.readouterr().out
    assert "all: 15 questions" in shown and "█" in shown and "log loss of the right one" in shown
    assert guarded(lambda: calibration.main([folder, "run.seed=1"])) == WRONG
