"""Options of the value head as a critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import JudgingCritic


class ValueHeadConfig(JudgingCritic):
    """The value head of heads.engine (agents/critics/value_head.py)."""

    kind: Literal["value_head"] = "value_head"
    """The value head of heads.engine (training=heads): how likely the answer is to be
    right. One reading a step, nothing is written; the last verdict stands for the whole
    path, so choose search.aggregation=last."""

    @property
    def reads_heads(self) -> bool:
        return True
