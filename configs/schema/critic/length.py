"""Options of the length critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import ScopedCritic


class LengthCriticConfig(ScopedCritic):
    """A control (agents/critics/length.py)."""

    kind: Literal["length"] = "length"
    """A control without a model: the shorter a step, the better its score."""
