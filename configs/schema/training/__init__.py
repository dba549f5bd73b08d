"""Options of training the policy (`training=sft | grpo | sft_grpo`), heads
(`training=heads`), or with a method of your own (`training=custom`).

The evaluation uses the held-out questions of `task.split`, which must not be train;
training questions come from the train split.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.schema.training.base import FineTune, LoraConfig, PolicyTraining, TrainingOptions
from configs.schema.training.custom import CustomTrainingConfig
from configs.schema.training.grpo import GrpoConfig, GrpoTrainingConfig
from configs.schema.training.heads import HeadsFit, HeadsTrainingConfig
from configs.schema.training.sft import SftConfig, SftTrainingConfig
from configs.schema.training.sft_grpo import SftGrpoTrainingConfig

TrainingConfig = Annotated[
    SftTrainingConfig
    | GrpoTrainingConfig
    | SftGrpoTrainingConfig
    | HeadsTrainingConfig
    | CustomTrainingConfig,
    Field(discriminator="method"),
]
"""Options of any training method."""

__all__ = [
    "CustomTrainingConfig",
    "FineTune",
    "GrpoConfig",
    "GrpoTrainingConfig",
    "HeadsFit",
    "HeadsTrainingConfig",
    "LoraConfig",
    "PolicyTraining",
    "SftConfig",
    "SftGrpoTrainingConfig",
    "SftTrainingConfig",
    "TrainingConfig",
    "TrainingOptions",
]
