"""Coverage of a stored run: hand-made traces whose counts are known, and a whole run of
the scripted pocket.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from agents.answers import Checkers, CheckResult
from agents.types import BadDataError, Question
from configs import compose, to_yaml
from graphs import run
from graphs.evaluation import coverage
from graphs.evaluation.scaling import pass_at_k
from graphs.terminal.console import WRONG, guarded
from graphs.traces import checked
from graphs.traces.store import TraceStore
from graphs.tree import Event, Expanded, Finished, Judged, ReasoningTree
from tests.graphs.strategies.trees import judged, step
from tests.graphs.traces.samples import make_trace

SUM = Question(text="Compute (19 + 8) * 8.", gold="216", task="pocket")
OTHER = Question(text="How many?", gold="4", task="gsm8k", metadata={"split": "test"})
SOUND = ("19 + 8 = 27", "27 * 8 = 216", "Answer: 216")
LUCKY = ("19 + 8 = 28", "28 * 8 = 216", "Answer: 216")
WRONG_END = ("19 + 8 = 27", "27 * 8 = 206", "Answer: 206")
CUT = ("19 + 8 = 27", "27 * 8 =")


def sampled(*chains: tuple[str, ...]) -> Expanded:
    """Returns an event in which each chain is a sample; a last step without "Answer:"
    was cut off.
    """

    def is_last(chain: tuple[str, ...], index: int) -> bool:
        return index == len(chain) - 1

    return Expanded(
        0,
        tuple(
            tuple(
                step(
                    text,
                    answer=text.partition("Answer: ")[2] or None,
                    cut=is_last(chain, index) and "Answer" not in text,
                )
                for index, text in enumerate(chain)
            )
            for chain in chains
        ),
        "answer",
    )


def make_run(
    folder: Path,
    *thoughts: tuple[Question, list[Event]],
    words: tuple[str, ...] = ("search=best_of_n", "critic=none"),
) -> Path:
    """Stores a run of these thoughts."""
    with TraceStore.open(
        folder, config_hash="c0ffee", config_yaml=to_yaml(compose(list(words)))
    ) as store:
        for question, events in thoughts:
            leaf = next(iter(ReasoningTree.replay(question, events).answer_leaves()), None)
            end = Finished(
                "no_answer" if leaf is None else "answered", leaf, None if leaf is None else "given"
            )
            store.record(replace(make_trace([*events, end], question=question), run=folder.name))
    return folder


async def test_samples_count_as_often_as_drawn_and_luck_is_no_derivation(
    tmp_path: Path,
) -> None:
    events: list[Event] = [sampled(SOUND, LUCKY, SOUND), sampled(WRONG_END, CUT)]
    [one], left_out = await coverage.read(make_run(tmp_path / "run", (SUM, events)))
    assert (
        one.family == "running"
        and one.pool.tally == (5, 3)
        and one.right_derivations == 2
        and not left_out
    )
    [row] = coverage.report([one])
    assert [point["k"] for point in row["curves"]["coverage"]] == [1, 2, 4, 5] and row[
        "samples"
    ] == [5, 5]
    for name, right in (("coverage", 3), ("derivation", 2)):
        assert [point["value"] for point in row["curves"][name]] == [
            pass_at_k(5, right, k) for k in (1, 2, 4, 5)
        ]
    assert row["curves"]["majority"][-1]["value"] == 1.0 and "weighted" not in row["curves"]


async def test_families_come_one_by_one_and_all_together(tmp_path: Path) -> None:
    folder = make_run(
        tmp_path / "run",
        (SUM, [sampled(SOUND, SOUND, CUT)]),
        (OTHER, [sampled(("Answer: 5",), ("Answer: 4.0",))]),
    )
    rows = coverage.report((await coverage.read(folder))[0])
    assert [(row["family"], row["questions"], row["samples"]) for row in rows] == [
        ("all", 2, [2, 3]),
        ("gsm8k", 1, [2, 2]),
        ("running", 1, [3, 3]),
    ]
    assert [list(row["curves"]) for row in rows] == [["coverage", "majority"]] * 2 + [
        ["coverage", "derivation", "majority"]
    ]
    assert rows[0]["curves"]["coverage"][0]["value"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert rows[1]["curves"]["majority"][1]["value"] == 0.5, "a tie"
    assert (rows[2]["calls"]["best"], rows[2]["calls"]["limit"], rows[1]["calls"]["limit"]) == (
        None,
        1.0,
        0.0,
    )


async def test_a_weighted_vote_weighs_as_the_run_did(tmp_path: Path) -> None:
    verdicts: list[Event] = [Judged(1, judged(1, 2.0).verdict), Judged(2, judged(2, -2.0).verdict)]
    events: list[Event] = [sampled(("Answer: 4",), ("Answer: 5",), ("Answer: 5",)), *verdicts]
    words = ("search=best_of_n", "search.selection=weighted_vote")
    [one], _ = await coverage.read(make_run(tmp_path / "run", (OTHER, events), words=words))
    assert one.pool.weights[:2] == pytest.approx([1.0, math.exp(-2.0)])
    curves = coverage.report([one])[0]["curves"]
    assert (curves["majority"][-1]["value"], curves["weighted"][-1]["value"]) == (0.0, 1.0)


async def test_what_cannot_be_scored_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = Question(text="How long is a piece of string?", task="jsonl")
    folder = make_run(
        tmp_path / "run",
        (unknown, [sampled(("Answer: 4",))]),
        (SUM, []),
        (OTHER, [sampled(("Answer: 4",))]),
    )
    found, left_out = await coverage.read(folder)
    assert len(found) == 1 and left_out == {
        "without a known right answer": 1,
        "without a sample": 1,
    }

    class Broken(Checkers):
        async def check(self, question: Question, answer: str) -> CheckResult:
            return CheckResult("timed_out", "killed after 5 s")

        async def close(self) -> None:
            """Has nothing to end."""

    monkeypatch.setattr(checked, "Checkers", Broken)
    with pytest.raises(BadDataError, match="1 question with an answer that could not be checked"):
        await coverage.read(folder)


def test_a_search_whose_samples_depend_on_each_other_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "run", (SUM, [sampled(SOUND)]), words=("search=critique_loop",))
    assert guarded(lambda: coverage.main([str(folder)])) == WRONG
    assert "give a run with search=best_of_n" in capsys.readouterr().err
    assert guarded(lambda: coverage.main([str(tmp_path)])) == WRONG


def test_a_run_with_fewer_samples_is_the_beginning_of_its_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted = [
        "engine=scripted",
        "engine.function=tests.scripted_pocket:Pocket",
        f"run.output_dir={tmp_path}",
        "run=wide",
    ]
    words = [
        "task=pocket",
        "task.size=15",
        "search=best_of_n",
        "search.num_samples=8",
        "critic=none",
        "reflector=none",
    ]
    assert run.main([*scripted, *words]) == 0
    capsys.readouterr()
    assert coverage.main([str(tmp_path / "wide"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["family"] for row in rows] == [
        "all",
        "countdown",
        "equations",
        "legs",
        "locks",
        "running",
    ]
    with TraceStore.read(tmp_path / "wide") as store:
        accuracy = sum(bool(trace.correct) for trace in store) / 15
    majority = rows[0]["curves"]["majority"]
    assert abs(majority[-1]["value"] - accuracy) < 0.2, "they differ by ties alone"
    for row in rows:
        curves = row["curves"]
        assert [point["k"] for point in curves["coverage"]] == [1, 2, 4, 8]
        assert all(
            sound["value"] <= any_right["value"]
            for sound, any_right in zip(curves["derivation"], curves["coverage"], strict=True)
        )
        assert curves["majority"][0]["value"] == pytest.approx(
            curves["coverage"][0]["value"], abs=4 * 0.5 / math.sqrt(200 * 3)
        )
    assert coverage.main([str(tmp_path / "wide")]) == 0
    shown = capsys.readouterr().out
    assert (
        "all: 15 questions, 8 samples each; 95 % intervals."
    ) in shown and "| k | coverage | derivation | majority |" in shown
    assert (
        " at 32 samples." in shown
        and "Law of majority votes" in shown
        and "(in the table: at " in shown
    )
