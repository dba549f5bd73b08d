"""Options of the safety-spec checker: it attaches rules before thinking and checks the
answer against them afterwards.

The checker uses the matchers of the rules, so it needs no engine.
"""

from __future__ import annotations

from configs.schema.base import ConfigGroup


class SafetyConfig(ConfigGroup):
    """Checks questions and answers against the rules of a specification."""

    enabled: bool = True
    """Apply the rules."""
    rules: str = "default"
    """YAML file of rules with ids; default: the file that comes with the package."""
    refuse_before_thinking: bool = True
    """Decide on a question that a rule matches before thinking; false: judge question
    and answer after thinking."""
