"""Options that all training methods share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.schema.base import OPERATIONAL, ConfigGroup

FineTune = Literal["full", "lora"]
"""`full`: all weights. `lora`: low-rank adapters, merged before they are served."""


class LoraConfig(ConfigGroup):
    """Low-rank adapters. Source: LoRA (arXiv:2106.09685)."""

    rank: int = Field(16, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(32.0, gt=0)
    """Scale of the adapters: the update is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout rate of the adapter's inputs in training."""


class TrainingOptions(ConfigGroup):
    """Options of every training method."""

    method: str
    """The method; each subclass has a literal of its own."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the trained weights."""
    micro_batch_size: Annotated[int, OPERATIONAL] = Field(16, ge=1)
    """Records per forward and backward pass on a device; gradients are accumulated over
    an optimizer step."""
    output: Annotated[Path | None, OPERATIONAL] = None
    """Folder for the trained model; null: `model` in the run's directory."""
    seed: int = Field(0, ge=0)
    """Seed of sampling questions, shuffling, dropout and rollouts."""

    @property
    def sources(self) -> tuple[Path, ...]:
        """Directories of the runs to train on."""
        return tuple(getattr(self, "from_runs", ()))

    @property
    def asks_questions(self) -> bool:
        """Whether the method needs questions of the task, for traces, rollouts or an
        evaluation.
        """
        return self.num_held_out > 0

    @property
    def num_held_out(self) -> int:
        """Number of held-out questions for the evaluation."""
        return 0

    @property
    def publishes(self) -> bool:
        """Whether trained weights are loaded into the running engine."""
        return False

    @property
    def needs_local_weights(self) -> bool:
        """Whether the policy's weights must be in a folder on this machine."""
        return False


class PolicyTraining(TrainingOptions):
    """Options of every method that trains the policy."""

    finetune: FineTune = "full"
    """Trained weights. full: all weights; lora: low-rank adapters, merged before they
    are served."""
    lora: LoraConfig = LoraConfig()
    """Options of the adapters, for finetune=lora."""
    evaluate: int = Field(500, ge=0)
    """Number of held-out questions that the policy alone answers greedily before and
    after the training; 0: no evaluation."""

    @property
    def num_held_out(self) -> int:
        return self.evaluate if self.publishes else 0

    @property
    def publishes(self) -> bool:
        return True
