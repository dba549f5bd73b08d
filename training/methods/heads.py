"""`training=heads`: policy and value heads from the trees of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.training import HeadsTrainingConfig
from training.stages.base import Stage
from training.stages.heads import FitHeads


@dataclass(frozen=True, slots=True)
class Heads:
    """One stage. It does not change the policy, so the policy is not evaluated."""

    config: type[HeadsTrainingConfig] = HeadsTrainingConfig

    def stages(self, training: HeadsTrainingConfig) -> Sequence[Stage]:
        return [FitHeads(training)]


HEADS = Heads()
