"""The safety specification and its checker."""

from agents.safety.checker import (
    DEFAULT_RULES,
    Decision,
    SafetyChecker,
    SafetyJudgement,
    SafetyRule,
)

__all__ = ["DEFAULT_RULES", "Decision", "SafetyChecker", "SafetyJudgement", "SafetyRule"]
