"""Options of the safety-spec checker: rules are attached before thinking, and the
answer is judged by them afterwards.

The checker decides by the matchers of the rules, so it needs no engine.
"""

from __future__ import annotations

from configs.schema.base import ConfigGroup


class SafetyConfig(ConfigGroup):
    """Checks questions and answers against the rules of a specification."""

    enabled: bool = True
    """Whether the rules are applied."""
    rules: str = "default"
    """YAML file of rules with ids; default: the one that comes with the package."""
    refuse_before_thinking: bool = True
    """Decide on a question that a rule matches before any thought is spent on it;
    otherwise question and answer are judged after thinking."""
