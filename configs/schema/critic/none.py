"""No critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import CriticOptions


class NoCriticConfig(CriticOptions):
    """No step is judged."""

    kind: Literal["none"] = "none"
    """No critic: for greedy, majority and log-probability votes."""
