"""Options of `training=sft`: supervised fine-tuning on the traces of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup
from configs.schema.training.base import PolicyTraining


class SftConfig(ConfigGroup):
    """Supervised fine-tuning on long thoughts."""

    thought: Literal["shortcut", "journey"] = "journey"
    """Form of the trained thought. shortcut: the right path alone; journey: with wrong
    turns, reflections and backtracks."""
    learning_rate: float = Field(1e-4, gt=0, le=1)
    """Peak learning rate."""
    epochs: float = Field(2.0, gt=0)
    """Passes over the records."""
    max_steps: int | None = Field(None, ge=1)
    """Most optimizer steps; null: as many as `epochs` needs."""
    batch_size: int = Field(16, ge=1)
    """Records per optimizer step."""
    max_length: int | None = Field(None, ge=2)
    """Longest record, in tokens; longer records are left out and counted; null: the
    context length of the model."""
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    """Share of the optimizer steps used for warm-up of the learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""


class SftTrainingConfig(PolicyTraining):
    """Supervised fine-tuning on the traces of finished runs."""

    method: Literal["sft"] = "sft"
    """Supervised fine-tuning on traces."""
    from_runs: tuple[Path, ...] = Field(min_length=1)
    """Run directories whose traces are the training data."""
    publish: bool = True
    """Load the trained weights into the running engine, compare its logprobs with the
    trainer's, and evaluate; false: train only."""
    sft: SftConfig = SftConfig()
    """Options of the fine-tuning."""

    @property
    def publishes(self) -> bool:
        return self.publish
