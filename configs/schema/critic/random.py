"""Options of the random critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import ScopedCritic


class RandomCriticConfig(ScopedCritic):
    """A control (agents/critics/random.py)."""

    kind: Literal["random"] = "random"
    """A control without a model: noise, always the same for the same step. What a
    search gains with it does not come from its critic."""
