"""`training=heads`: policy and value heads from the trees of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.training import HeadsTrainingConfig
from training.stages.base import Stage
from training.stages.heads import FitHeads


@dataclass(frozen=True, slots=True)
class Heads:
    """One stage, which leaves the policy as it is, so that nothing is measured."""

    config: type[HeadsTrainingConfig] = HeadsTrainingConfig

    def stages(self, training: HeadsTrainingConfig) -> Sequence[Stage]:
        return [FitHeads(training)]


HEADS = Heads()
