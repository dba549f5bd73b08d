"""Where a step ends."""

from agents.roles.segmentation.rules import (
    FixedLength,
    StepBoundary,
    StepRule,
    cut_steps,
    decoded_token,
    step_rule,
)

__all__ = ["FixedLength", "StepBoundary", "StepRule", "cut_steps", "decoded_token", "step_rule"]
