"""`training=grpo`: reinforcement learning with rollouts from the serving engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.training import GrpoTrainingConfig
from training.stages.base import Stage
from training.stages.reinforcement import Reinforce


@dataclass(frozen=True, slots=True)
class Grpo:
    """One stage: GRPO."""

    config: type[GrpoTrainingConfig] = GrpoTrainingConfig

    def stages(self, training: GrpoTrainingConfig) -> Sequence[Stage]:
        return [Reinforce(training, training.grpo)]


GRPO = Grpo()
