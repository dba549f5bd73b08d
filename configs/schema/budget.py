"""What a question may cost: `budget=low | medium | high` sets the caps alone,
`effort=low | medium | high` a search with them.
"""

from __future__ import annotations

from pydantic import Field

from agents.types import Budget
from configs.schema.base import ConfigGroup


class BudgetConfig(ConfigGroup):
    """Caps for one question, all roles together; null: no cap of that kind."""

    max_tokens: int | None = Field(4096, ge=1)
    """Generated tokens of all roles together; null: no cap."""
    max_calls: int | None = Field(256, ge=1)
    """Engine requests of all roles together; null: no cap."""
    max_nodes: int | None = Field(128, ge=1)
    """Nodes of the reasoning tree, the root not counted; checked between rounds, so the
    last one may run over. null: no cap."""
    max_depth: int | None = Field(16, ge=1)
    """Steps along one path that the loop looks at one by one; from there on the thought
    is written through. null: no cap."""
    max_seconds: float | None = Field(None, gt=0)
    """Wall-clock seconds, checked between requests; a cap makes results depend on the
    speed of the machine. null: no cap."""

    def to_budget(self) -> Budget:
        """Returns the noun that the search is given."""
        return Budget(**self.model_dump())
