"""Options of the working critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import SpeakingCritic


class WorkingCriticConfig(SpeakingCritic):
    """A critic that computes before it judges (agents/critics/working.py)."""

    kind: Literal["working"] = "working"
    """A short written check, then the verdict."""
