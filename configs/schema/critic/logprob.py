"""Options of the log-probability critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import ScopedCritic


class LogprobCriticConfig(ScopedCritic):
    """A control (agents/critics/logprob.py)."""

    kind: Literal["logprob"] = "logprob"
    """A control without a model: the policy's own probability of the step, which any
    search has without a critic."""

    @property
    def reads_logprobs(self) -> bool:
        return True
