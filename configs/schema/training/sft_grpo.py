"""Options of `training=sft_grpo`: fine-tuning on traces, then reinforcement
learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from configs.schema.training.base import PolicyTraining
from configs.schema.training.grpo import GrpoConfig
from configs.schema.training.sft import SftConfig


class SftGrpoTrainingConfig(PolicyTraining):
    """Fine-tuning on traces, then reinforcement learning, evaluated before and after
    each.
    """

    method: Literal["sft_grpo"] = "sft_grpo"
    """Fine-tuning on traces, then reinforcement learning, evaluated before and after
    each."""
    from_runs: tuple[Path, ...] = ()
    """Run directories whose traces are the SFT data; empty: the command first records
    traces on the train split."""
    traces: int = Field(64, ge=1)
    """Number of questions of the train split to record traces for, if from_runs is
    empty."""
    sft: SftConfig = SftConfig()
    """Options of the fine-tuning."""
    grpo: GrpoConfig = GrpoConfig()
    """Options of the reinforcement learning."""

    @property
    def asks_questions(self) -> bool:
        return True
