"""Where a step ends."""

from agents.roles.segmentation.rules import StepBoundary, StepRule, cut_steps, step_rule

__all__ = ["StepBoundary", "StepRule", "cut_steps", "step_rule"]
