"""Training methods by the name that `training.method` knows them by."""

from __future__ import annotations

from collections.abc import Mapping

from configs.schema.training import TrainingOptions
from training.methods.base import Method
from training.methods.grpo import GRPO
from training.methods.heads import HEADS
from training.methods.sft import SFT
from training.methods.sft_grpo import SFT_GRPO

METHODS: Mapping[str, Method] = {"sft": SFT, "grpo": GRPO, "sft_grpo": SFT_GRPO, "heads": HEADS}


def method_of(training: TrainingOptions) -> Method:
    """Returns the method that the options choose."""
    return METHODS[training.method]
