"""What all training methods share."""

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
    """Share of the adapter's inputs dropped in training."""


class TrainingOptions(ConfigGroup):
    """Options of every training method."""

    method: str
    """The method; each subclass has a literal of its own."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the trained weights."""
    micro_batch_size: Annotated[int, OPERATIONAL] = Field(16, ge=1)
    """Records computed at once on a device; more are accumulated to one optimizer
    step."""
    output: Annotated[Path | None, OPERATIONAL] = None
    """Folder of the trained model; null: `model` in the directory of the run."""
    seed: int = Field(0, ge=0)
    """Seed of drawing, shuffling, dropout and rollouts."""

    @property
    def sources(self) -> tuple[Path, ...]:
        """Directories of the runs that are learned from."""
        return tuple(getattr(self, "from_runs", ()))

    @property
    def asks_questions(self) -> bool:
        """Whether questions of the task are asked, for traces, for rollouts, or for an
        evaluation.
        """
        return self.num_held_out > 0

    @property
    def num_held_out(self) -> int:
        """Held-out questions that the policy is measured on."""
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
    """full: all weights; lora: low-rank adapters, merged before they are served."""
    lora: LoraConfig = LoraConfig()
    """Options of the adapters; read where finetune is lora."""
    evaluate: int = Field(500, ge=0)
    """Held-out questions answered greedily by the policy alone before and after; 0: no
    evaluation."""

    @property
    def num_held_out(self) -> int:
        return self.evaluate if self.publishes else 0

    @property
    def publishes(self) -> bool:
        return True
