"""Supervised fine-tuning of the policy on records, by TRL's SFTTrainer.

The rows are already tokenised and labelled (training/data/records.py), so TRL's
preparation is switched off; its collator pads on the right, labels with -100. Weights
are float32 by default (`training.dtype`), because bfloat16, TRL's default, rounds away
the small updates of a short fine-tuning.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.engines.transformers.engine import no_progress_bar
from configs.schema.training import PolicyTraining, SftConfig
from training.data.records import Record
from training.loops.model_folder import load_model, load_tokenizer, save_model
from training.loops.trainers import (
    common_arguments,
    lora,
    on_one_device,
    per_process,
    progress_callback,
)


@dataclass(frozen=True, slots=True)
class SftResult:
    """Result of a fine-tuning."""

    steps: int
    """Optimizer steps."""
    losses: tuple[float, ...]
    """Mean negative log-likelihood per learned token of each step's records, in
    nats."""
    seconds: float


def fine_tune(
    records: Sequence[Record],
    base: Path,
    folder: Path,
    training: PolicyTraining,
    sft: SftConfig,
    *,
    on_step: Callable[[int, int, str], None] | None = None,
) -> SftResult:
    """Fine-tunes the model of `base` on the records and writes the result to `folder`.

    Calls `on_step(step, total, text)` after each logged step.

    Raises:
        ValueError: there are no records.
    """
    if not records:
        raise ValueError(
            "there is no record to learn from: no trace has a right answer; write more traces, or "
            "raise the search's budget"
        )
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    start = time.monotonic()
    tokenizer = load_tokenizer(base)
    losses: list[float] = []
    rows = [
        {"input_ids": list(record.input_ids), "labels": list(record.labels)} for record in records
    ]
    with tempfile.TemporaryDirectory() as scratch, no_progress_bar():
        arguments = SFTConfig(
            **common_arguments(
                training,
                scratch,
                batch_size=per_process(min(sft.batch_size, len(rows)), "training.sft.batch_size"),
            ),
            learning_rate=sft.learning_rate,
            weight_decay=sft.weight_decay,
            num_train_epochs=sft.epochs,
            max_steps=_steps(sft, len(rows)),
            # rounded down: a warm-up's first step has learning rate 0
            warmup_steps=int(sft.warmup_ratio * _steps(sft, len(rows))),
            lr_scheduler_type="linear",
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        )
        trainer: Any = SFTTrainer(
            model=load_model(base, dtype=training.dtype),
            args=on_one_device(arguments),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora(training),
            callbacks=[progress_callback(losses, on_step)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        save_model(trainer.model, base, folder)
    return SftResult(trainer.state.global_step, tuple(losses), time.monotonic() - start)


def _steps(sft: SftConfig, rows: int) -> int:
    """Returns the number of optimizer steps for `sft.epochs`, at most
    `sft.max_steps`.
    """
    needed = max(1, math.ceil(sft.epochs * rows / min(sft.batch_size, rows)))
    return needed if sft.max_steps is None else min(needed, sft.max_steps)
