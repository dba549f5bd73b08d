"""Fine-tuning on rows: real gradients on a tiny model."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from agents.engines.tokenizer import HFTokenizer
from agents.types import Question
from configs.schema.training import LoraConfig, SftConfig, SftTrainingConfig
from tests.training.tiny_pocket import solution_record
from training.data.records import IGNORED, Record
from training.loops.fine_tune import SftResult, fine_tune
from training.loops.model_folder import load_model

RUNS = (Path("unused"),)


@pytest.fixture(scope="module")
def records(taught_questions: list[Question]) -> list[Record]:
    return [solution_record(question) for question in taught_questions]


def tune(records: list[Record], base: Path, folder: Path, **options: object) -> SftResult:
    sft = SftConfig(learning_rate=3e-3, epochs=3, batch_size=4)
    training = SftTrainingConfig(from_runs=RUNS, sft=sft).model_copy(update=options)
    return fine_tune(records, base, folder, training, training.sft)


def loss_of(folder: Path, records: list[Record]) -> float:
    """Returns the mean negative log-likelihood per learned token, computed row by row
    without padding.
    """
    import torch

    model, total, count = load_model(folder, dtype="float32"), 0.0, 0
    for record in records:
        ids, labels = torch.tensor([record.input_ids]), torch.tensor(record.labels)
        with torch.no_grad():
            logprobs = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        learned = labels[1:] != IGNORED
        total -= float(logprobs[learned].gather(-1, labels[1:][learned, None]).sum())
        count += int(learned.sum())
    return total / count


def distance(first: Path, second: Path) -> float:
    """Returns the Euclidean distance of two models' weights."""
    states = [load_model(folder, dtype="float32").state_dict() for folder in (first, second)]
    squares = [float((states[0][key] - states[1][key]).pow(2).sum()) for key in states[0]]
    return math.sqrt(sum(squares))


def test_the_loss_falls_on_the_rows(
    records: list[Record], tiny_pocket: Path, tmp_path: Path
) -> None:
    steps: list[int] = []
    sft = SftConfig(learning_rate=3e-3, epochs=3, batch_size=4)
    training = SftTrainingConfig(from_runs=RUNS, sft=sft)
    result = fine_tune(
        records,
        tiny_pocket,
        tmp_path / "model",
        training,
        sft,
        on_step=lambda step, of, text: steps.append(step),
    )
    assert result.steps == 6 and steps == [1, 2, 3, 4, 5, 6] and len(result.losses) == 6
    assert loss_of(tmp_path / "model", records) < 0.9 * loss_of(tiny_pocket, records)


def test_the_reported_loss_is_that_of_the_learned_tokens_alone(
    records: list[Record], tiny_pocket: Path, tmp_path: Path
) -> None:
    result = tune(
        records[:4],
        tiny_pocket,
        tmp_path / "model",
        sft=SftConfig(learning_rate=1e-9, epochs=1, batch_size=4),
    )
    assert result.losses[0] == pytest.approx(loss_of(tiny_pocket, records[:4]), rel=1e-3)


def test_rows_without_learned_tokens_have_no_gradient(
    records: list[Record], tiny_pocket: Path, tmp_path: Path
) -> None:
    silent = [
        dataclasses.replace(
            record, labels=(*[IGNORED] * (len(record.labels) - 1), record.labels[-1])
        )
        for record in records[:4]
    ]
    noisy = [
        dataclasses.replace(
            record, input_ids=(*record.input_ids, 7), labels=(*record.labels, IGNORED)
        )
        for record in silent
    ]
    learned = [dataclasses.replace(record, labels=(*record.labels[:-1], 7)) for record in noisy]
    for name, rows in (("silent", silent), ("noisy", noisy), ("learned", learned)):
        tune(rows, tiny_pocket, tmp_path / name)
    # Adam makes whole steps of rounding errors where a gradient is all but zero, so
    # weights are compared as one vector.
    assert distance(tmp_path / "silent", tmp_path / "noisy") < 0.02 * distance(
        tmp_path / "silent", tmp_path / "learned"
    )


def test_micro_batches_do_not_change_the_result(
    records: list[Record], tiny_pocket: Path, tmp_path: Path
) -> None:
    for size in (1, 4):
        tune(records, tiny_pocket, tmp_path / str(size), micro_batch_size=size)
    assert loss_of(tmp_path / "1", records) == pytest.approx(
        loss_of(tmp_path / "4", records), rel=1e-3
    )


def test_the_folder_is_served_like_its_base(
    records: list[Record], tiny_pocket: Path, tmp_path: Path
) -> None:
    (tiny_pocket / "calibration.json").write_text("{}")
    try:
        tune(records[:4], tiny_pocket, tmp_path / "model")
    finally:
        (tiny_pocket / "calibration.json").unlink()
    written = {file.name for file in (tmp_path / "model").iterdir()}
    assert written >= {
        "model.safetensors",
        "config.json",
        "families.json",
        "calibration.json",
        "tokenizer.json",
    }
    assert HFTokenizer(tmp_path / "model").hash == HFTokenizer(tiny_pocket).hash
    ids = [
        json.loads((folder / "config.json").read_text())["pad_token_id"]
        for folder in (tmp_path / "model", tiny_pocket)
    ]
    assert ids[0] == ids[1]


def test_adapters_are_merged(records: list[Record], tiny_pocket: Path, tmp_path: Path) -> None:
    tune(records, tiny_pocket, tmp_path / "model", finetune="lora", lora=LoraConfig(rank=4))
    base, tuned = (
        load_model(folder, dtype="float32").state_dict()
        for folder in (tiny_pocket, tmp_path / "model")
    )
    assert base.keys() == tuned.keys()
    assert bool((base["model.embed_tokens.weight"] == tuned["model.embed_tokens.weight"]).all())
    assert not bool(
        (
            base["model.layers.0.mlp.up_proj.weight"] == tuned["model.layers.0.mlp.up_proj.weight"]
        ).all()
    )
    assert loss_of(tmp_path / "model", records) < loss_of(tiny_pocket, records)


def test_nothing_to_learn_from_is_an_error(tiny_pocket: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no record to learn from"):
        tune([], tiny_pocket, tmp_path / "model")
