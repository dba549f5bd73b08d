"""Shared setup of the trainers of TRL and transformers: arguments, adapters and
progress.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from configs.schema.training import PolicyTraining, TrainingOptions

OnStep = Callable[[int, int, str], None]
"""Called with (step, total, text) after every optimizer step."""


def common_arguments(training: TrainingOptions, scratch: str, *, batch_size: int) -> dict[str, Any]:
    """Returns the trainer arguments that do not depend on the method. `batch_size`:
    rows of this process per optimizer step.

    By default TRL would train in bfloat16 with gradient checkpointing and report to
    every installed tracker; here all of this is off.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    micro = min(training.micro_batch_size, batch_size)
    # whole micro-batches, so that every optimizer step has the configured number of
    # rows
    while batch_size % micro:
        micro -= 1
    return {
        "output_dir": scratch,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": math.ceil(batch_size / micro),
        "use_cpu": not on_gpu,
        "bf16": on_gpu and training.dtype == "bfloat16",
        "gradient_checkpointing": False,
        "seed": training.seed,
        "data_seed": training.seed,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        "dataloader_pin_memory": on_gpu,
    }


def per_process(number: int, key: str) -> int:
    """Returns this process's share of the rows per optimizer step of all processes
    (torchrun's WORLD_SIZE).

    Raises:
        ValueError: the shares would be unequal; names the option `key`.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if number % processes:
        raise ValueError(
            f"{key} ({number}) must be a multiple of the {processes} processes that train "
            "together, which step at once with equal shares; "
            f"set it to {-(-number // processes) * processes}, or start another number of processes"
        )
    return number // processes


def on_one_device(arguments: Any) -> Any:
    """Returns the trainer's arguments, restricted to the first GPU that this process
    sees.

    With several GPUs transformers would use `nn.DataParallel`, which TRL rejects.
    Setting `_n_gpu` is how transformers itself prevents that for a split model.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def lora(training: PolicyTraining) -> Any:
    """Returns PEFT's configuration of the adapters; None if all weights are trained."""
    if training.finetune == "full":
        return None
    from peft import LoraConfig

    options = training.lora
    return LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def progress_callback(losses: list[float], on_step: OnStep | None) -> Any:
    """Returns a callback that appends every logged loss to `losses`, calls `on_step`,
    and keeps the trainer from printing.
    """
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_log(
            self,
            args: Any,
            state: Any,
            control: Any,
            logs: dict[str, float] | None = None,
            **rest: Any,
        ) -> None:
            if logs is not None and "loss" in logs:
                losses.append(float(logs["loss"]))
                if on_step is not None:
                    on_step(state.global_step, state.max_steps, f"loss {losses[-1]:.3f}")

    return Progress()
