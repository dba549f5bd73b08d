"""The pipeline on a tiny pocket: what it writes, what it skips after a restart, what it
refuses.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agents.types import BadDataError, RunConflictError, ThoughtsDeletedError
from configs import compose
from configs.errors import ConfigError
from graphs.terminal.console import WRONG, guarded
from graphs.traces.deletion import delete_thoughts
from graphs.traces.store import FILE_NAME, TraceStore
from tests.training.conftest import NUM_TAUGHT
from training.driver import run
from training.pipeline import Pipeline
from training.report import metrics, report
from training.run import main
from training.stages.questions import load_held_out, load_training

STAGES = ["before", "traces", "sft", "after_sft", "grpo", "after_grpo"]


def overrides(model: Path, output: Path, *more: str, kind: str = "transformers") -> list[str]:
    return [
        *(
            "experiment=sft_grpo",
            f"engine={kind}",
            f"engine.model={model}",
            f"run.output_dir={output}",
            "run=turn",
            "critic=none",
        ),
        *(
            "search=best_of_n",
            "search.num_samples=4",
            "search.selection=majority",
            "policy.max_answer_tokens=96",
        ),
        *(
            "task.families=[legs]",
            "task.levels=[1]",
            "training.evaluate=6",
            "training.traces=4",
            "training.sft.learning_rate=1e-3",
        ),
        *(
            "training.grpo.max_steps=2",
            "training.grpo.prompts_per_step=2",
            "training.grpo.num_generations=4",
            *more,
        ),
    ]


@pytest.fixture(scope="module")
def turned(
    taught_pocket: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], Path, dict[str, Any]]:
    words = overrides(taught_pocket, tmp_path_factory.mktemp("runs"))
    folder, found = run(compose(words))
    return words, folder, found


def test_a_turn_leaves_model_report_metrics_config_and_traces(
    turned: tuple[list[str], Path, dict[str, Any]],
) -> None:
    _, folder, found = turned
    assert {file.name for file in folder.iterdir()} >= {
        "model",
        "sft",
        "stages",
        "report.md",
        "metrics.json",
        "config.yaml",
        "traces.sqlite",
    }
    assert (folder / "model" / "families.json").is_file()
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(found))
    assert list(found["accuracy"]) == ["before", "after_sft", "after_grpo"]
    assert list(found["comparison"]) == [
        "after_sft - before",
        "after_grpo - before",
        "after_grpo - after_sft",
    ]
    assert all(
        0 <= shares["all"]["value"] <= 1 and shares["all"]["of"] == 6
        for shares in found["accuracy"].values()
    )
    assert found["traces"]["traces"] == 4 and found["traces"]["right"] > 0
    assert found["sft"]["records"] == found["traces"]["right"]
    assert len(found["grpo"]["steps"]) == 2
    assert all(
        publication["max_difference"] < 1e-4 for publication in found["publications"].values()
    )
    text = (folder / "report.md").read_text()
    assert "| all |" in text
    verdicts = [difference["verdict"] for difference in found["comparison"].values()]
    assert all(f"**{verdict}**" in text for verdict in verdicts)
    assert "## Configuration" in text


def test_traces_are_of_the_train_split_and_never_of_what_is_measured(
    turned: tuple[list[str], Path, dict[str, Any]],
) -> None:
    words, folder, _ = turned
    config = compose(words)
    held_out, training = load_held_out(config, 6), load_training(config, NUM_TAUGHT)
    assert len(held_out) == 6 and len(training) == NUM_TAUGHT
    assert not {question.hash for question in held_out} & {question.hash for question in training}
    with TraceStore.read(folder) as store:
        assert {row["question_hash"] for row in store.visible()} == {
            question.hash for question in training[:4]
        }


def test_a_finished_run_is_not_done_again(
    turned: tuple[list[str], Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, folder, found = turned
    monkeypatch.setattr("training.stages.base.Reasoner", _must_not_be_called)
    assert run(compose(words)) == (folder, found)


def test_a_stopped_run_resumes_with_the_stage_that_was_not_finished(
    turned: tuple[list[str], Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, folder, found = turned
    before = found["accuracy"]["before"]
    for stage in ("grpo", "after_grpo"):
        (folder / "stages" / f"{stage}.json").unlink()
    monkeypatch.setattr("training.loops.fine_tune.fine_tune", _must_not_be_called)
    _, again = run(compose(words))
    assert again["accuracy"]["before"] == before and again["sft"] == json.loads(
        json.dumps(found["sft"])
    )
    assert [step["reward"] for step in again["grpo"]["steps"]] == pytest.approx(
        [step["reward"] for step in found["grpo"]["steps"]]
    )


def test_another_configuration_under_the_same_name_is_refused(
    turned: tuple[list[str], Path, dict[str, Any]],
) -> None:
    words, _, _ = turned
    with pytest.raises(RunConflictError, match=r"training\.grpo\.learning_rate"):
        run(compose([*words, "training.grpo.learning_rate=0.5"]))


def test_sft_alone_learns_from_another_run(
    turned: tuple[list[str], Path, dict[str, Any]], taught_pocket: Path, tmp_path: Path
) -> None:
    _, folder, found = turned
    words = [
        word
        for word in overrides(taught_pocket, tmp_path, "training=sft")
        if "grpo" not in word and "traces" not in word
    ]
    _, again = run(
        compose(
            [
                *words,
                f"training.from_runs=[{folder}]",
                "training.publish=false",
                "training.sft.thought=shortcut",
            ]
        )
    )
    assert again["accuracy"] == {} and again["sft"]["records"] == found["sft"]["records"]
    assert "Nothing was measured" in (tmp_path / "turn" / "report.md").read_text()


def sft_from(source: Path, model: Path, output: Path) -> list[str]:
    words = [
        word
        for word in overrides(model, output, "training=sft")
        if "grpo" not in word and "traces" not in word
    ]
    return [
        *words,
        f"training.from_runs=[{source}]",
        "training.publish=false",
        "training.sft.thought=shortcut",
    ]


def test_sft_leaves_out_a_damaged_trace_and_refuses_a_run_without_thoughts(
    turned: tuple[list[str], Path, dict[str, Any]], taught_pocket: Path, tmp_path: Path
) -> None:
    _, folder, found = turned
    source = Path(
        shutil.copytree(
            folder,
            tmp_path / "source" / folder.name,
            ignore=shutil.ignore_patterns("model", "sft", "stages"),
        )
    )
    with closing(sqlite3.connect(source / FILE_NAME)) as connection, connection:
        connection.execute(
            "UPDATE traces SET trace = x'00' WHERE rowid = (SELECT min(rowid) FROM traces WHERE "
            "correct = 1)"
        )
    _, trained = run(compose(sft_from(source, taught_pocket, tmp_path / "damaged")))
    assert trained["sft"]["records"] == found["sft"]["records"] - 1
    assert trained["sft"]["left_out"]["damaged"] == 1
    delete_thoughts(source, day=date(2026, 1, 31))
    with pytest.raises(ThoughtsDeletedError):
        run(compose(sft_from(source, taught_pocket, tmp_path / "deleted")))


def test_a_turn_without_a_right_trace_says_so_and_goes_on(
    tiny_pocket: Path, tmp_path: Path
) -> None:
    folder, found = run(
        compose(
            overrides(tiny_pocket, tmp_path, "training.evaluate=2", "training.grpo.max_steps=1")
        )
    )
    assert found["sft"]["records"] == 0 and found["grpo"]["steps"][0]["dropped_groups"] == 2
    text = (folder / "report.md").read_text()
    assert "skipped: nothing to learn from" in text and "no gain" in text


def names(words: list[str], folder: Path) -> list[str]:
    return [stage.name for stage in Pipeline(compose(words), folder).stages]


def test_stages_follow_the_method(tmp_path: Path) -> None:
    assert names(["experiment=sft_grpo"], tmp_path) == STAGES
    assert names(["experiment=sft_grpo", "training.evaluate=0"], tmp_path) == [
        "traces",
        "sft",
        "grpo",
    ]
    assert names(["training=grpo"], tmp_path) == ["before", "grpo", "after_grpo"]
    assert names(["training=sft", f"training.from_runs=[{tmp_path}]"], tmp_path) == [
        "before",
        "sft",
        "after_sft",
    ]


def test_a_file_that_is_the_test_split_is_not_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text('{"question": "1 + 1?", "answer": "#### 2"}\n')
    with pytest.raises(BadDataError, match="holds the test split whole"):
        load_training(compose(["training=grpo", "task=gsm8k", f"task.path={file}"]), 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["training=grpo", "training.publish=false"],
            "training.publish is an option of training=sft",
        ),
        (["engine=openai", "engine.base_url=http://127.0.0.1:9/v1", "training=sft_grpo"], None),
        ([], "training"),
    ],
)
def test_wrong_calls_end_with_a_message(
    words: list[str], message: str | None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = guarded(lambda: main([*words, f"run.output_dir={tmp_path}"]))
    assert code == (WRONG if message else 1)
    assert message is None or message in " ".join(capsys.readouterr().err.split())


def test_a_configuration_without_training_is_refused() -> None:
    with pytest.raises(ConfigError):
        main(["experiment=pocket_greedy"])


@pytest.mark.slow
def test_a_turn_on_vllm_publishes_into_the_running_engine(
    taught_pocket: Path, tmp_path: Path
) -> None:
    words = overrides(
        taught_pocket, tmp_path, "engine.dtype=float32", "engine.kv_cache_gib=0.25", kind="vllm"
    )
    _, found = run(compose(words))
    assert found["publications"].keys() == {"after_sft", "after_grpo"}
    assert all(
        publication["max_difference"] < 1e-4 for publication in found["publications"].values()
    )
    errors = [step["max_ratio_error"] for step in found["grpo"]["steps"]]
    assert len(errors) == 2
    assert all(error is None or error < 1e-3 for error in errors)


def test_metrics_and_report_of_nothing_are_still_written() -> None:
    assert metrics([], {}) == {"accuracy": {}, "comparison": {}}
    assert "## Configuration" in report([], {}, run="r", model=Path("m"), config_yaml="a: 1\n")


def _must_not_be_called(*args: object, **options: object) -> None:
    raise AssertionError("a finished phase was done again")


@pytest.mark.parametrize("method", ["grpo", "sft_grpo"])
def test_a_training_on_what_is_made_from_test_questions_is_refused(
    tmp_path: Path, method: str
) -> None:
    words = ["task=reasoning_gym", "task.datasets=[chain_sum,gsm_symbolic]", f"training={method}"]
    config = compose([*words, f"run.output_dir={tmp_path}", "run=leak"])
    with pytest.raises(ValueError, match="gsm_symbolic is made from published test questions"):
        load_training(config, 4)
