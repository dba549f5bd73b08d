"""What a process takes of an optimizer step, alone and beside others."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.schema.training import SftTrainingConfig
from training.loops.trainers import common_arguments, on_one_device, per_process

TRAINING = SftTrainingConfig(from_runs=(Path("unused"),), micro_batch_size=3)


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_all_processes_together_take_the_rows_that_the_config_promises(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    found = common_arguments(
        TRAINING, "scratch", batch_size=per_process(16, "training.sft.batch_size")
    )
    assert (
        processes * found["per_device_train_batch_size"] * found["gradient_accumulation_steps"]
        == 16
    )


def test_unequal_shares_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(
        ValueError,
        match=r"training\.sft\.batch_size \(16\) must be a multiple of "
        r"the 3 processes.*set it to 18",
    ):
        per_process(16, "training.sft.batch_size")


def test_one_process_that_sees_eight_gpus_trains_on_one(tmp_path: Path) -> None:
    from trl import SFTConfig

    arguments = SFTConfig(**common_arguments(TRAINING, str(tmp_path), batch_size=6))
    assert arguments.n_gpu <= 1, "otherwise this machine has several"
    arguments._n_gpu = 8
    assert on_one_device(arguments).n_gpu == 1
    assert arguments.train_batch_size == arguments.per_device_train_batch_size == 3
