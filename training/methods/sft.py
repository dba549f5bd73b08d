"""`training=sft`: supervised fine-tuning on the traces of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.training import SftTrainingConfig
from training.stages.base import Stage
from training.stages.fine_tuning import FineTune


@dataclass(frozen=True, slots=True)
class Sft:
    """One stage. Having no usable trace is an error."""

    config: type[SftTrainingConfig] = SftTrainingConfig

    def stages(self, training: SftTrainingConfig) -> Sequence[Stage]:
        return [FineTune(training, training.sft, training.from_runs, must_learn=True)]


SFT = Sft()
