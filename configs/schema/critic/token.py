"""Options of the token critic."""

from __future__ import annotations

from typing import Literal

from configs.schema.critic.base import SpeakingCritic


class TokenCriticConfig(SpeakingCritic):
    """A critic that reads one next token (agents/critics/token.py)."""

    kind: Literal["token"] = "token"
    """The probability of one next token is the verdict."""
