"""Options of the oracle."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.critic.base import JudgingCritic


class OracleCriticConfig(JudgingCritic):
    """The exact truth (agents/critics/oracle.py)."""

    kind: Literal["oracle"] = "oracle"
    """A control without a model: the exact truth, for questions of the pocket's
    families; the most that a critic can do for a search."""
    flip_rate: float = Field(0.0, ge=0, le=0.5)
    """Share of the verdicts that are the opposite of the truth; drawn once for each
    step from run.seed."""
