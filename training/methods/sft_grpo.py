"""`training=sft_grpo`: traces, fine-tuning on the right ones, then reinforcement
learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.training import SftGrpoTrainingConfig
from training.stages.base import Stage
from training.stages.fine_tuning import FineTune
from training.stages.reinforcement import Reinforce
from training.stages.traces import WriteTraces


@dataclass(frozen=True, slots=True)
class SftGrpo:
    """Three stages; without the first if `training.from_runs` names finished runs."""

    config: type[SftGrpoTrainingConfig] = SftGrpoTrainingConfig

    def stages(self, training: SftGrpoTrainingConfig) -> Sequence[Stage]:
        traces: list[Stage] = [] if training.from_runs else [WriteTraces(training.traces)]
        return [
            *traces,
            FineTune(training, training.sft, training.from_runs),
            Reinforce(training, training.grpo),
        ]


SFT_GRPO = SftGrpo()
