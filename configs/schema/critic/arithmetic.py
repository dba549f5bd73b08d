"""Options of the arithmetic critic."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.critic.base import ScopedCritic


class ArithmeticCriticConfig(ScopedCritic):
    """A critic that executes arithmetic claims (agents/critics/arithmetic.py)."""

    kind: Literal["arithmetic"] = "arithmetic"
    """Finds claims such as "12 apples * 3 = 36 apples" in a step and computes them
    exactly: no model, no tokens. A step without a claim stays undecided."""
    evidence_of_true: float = Field(0.2, ge=0, le=9)
    """Log-likelihood ratio of a step whose claims are all true, in nats."""
    evidence_of_false: float = Field(-3.0, ge=-9, le=0)
    """Log-likelihood ratio of a step with a false claim, in nats."""
