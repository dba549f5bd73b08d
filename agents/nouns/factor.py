"""Thought factors: the discrete reasoning actions that a step can be written under.

They are data, not code (configs/policy/*.yaml), and optional: with an empty list the policy chooses freely, which is the
ablation. A factor conditions the policy by its `opening`, which is put in front of the step: a special token for a model that was
trained with it, a few words ("Wait, ") for an ordinary chat model.

Source: Reverse-o1 (Zhang Junlin, 2024): discrete actions such as "restate the goal", "check the result", "correct the error".
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ThoughtFactor(BaseModel):
    """One reasoning action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The factor's name, as it appears in traces: propose, correct, check, conclude ..."""
    opening: str
    """What the controller writes before the step; its tokens are marked as forced and never trained on."""
    description: str = ""
    """What the factor is for; shown in the audit view."""
