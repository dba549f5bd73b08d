"""Caps on the cost of a question. `budget=low | medium | high` sets the caps alone,
`effort=auto | low | medium | high` also the search.
"""

from __future__ import annotations

from pydantic import Field

from agents.types import Budget
from configs.schema.base import ConfigGroup


class BudgetConfig(ConfigGroup):
    """Caps for one question, all roles together."""

    max_tokens: int | None = Field(4096, ge=1)
    """Generated tokens of all roles together; null: no cap."""
    max_calls: int | None = Field(256, ge=1)
    """Engine requests of all roles together; null: no cap."""
    max_nodes: int | None = Field(128, ge=1)
    """Nodes of the reasoning tree without the root; checked between rounds, so the last
    round may exceed it. null: no cap."""
    max_depth: int | None = Field(16, ge=1)
    """Steps of a path that are sampled and judged one by one; beyond it the rest of the
    thought is generated in one completion. null: no cap."""
    thinking_tokens: int | None = Field(1024, ge=1)
    """Longest thought of a model that thinks between delimiters (`<think>`), in tokens:
    after as many the policy closes the thought, and the answer follows, in at most
    policy.max_answer_tokens. Without effect on other models. null: no cap."""
    max_seconds: float | None = Field(None, gt=0)
    """Wall-clock time, in seconds, checked between requests; a cap makes results depend
    on the speed of the machine. null: no cap."""

    def to_budget(self) -> Budget:
        """Returns the caps as the `Budget` of the search."""
        return Budget(**self.model_dump())
