"""Options of a critic of your own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from agents.objects import NAME
from configs.schema.critic.base import JudgingCritic


class CustomCriticConfig(JudgingCritic):
    """A critic that does not come with the package."""

    kind: Literal["custom"] = "custom"
    """A critic of your own, named by critic.object."""
    object: str = Field(pattern=NAME)
    """package.module:name of a class with a method `judge`
    (agents.critics.base.Critic)."""
    options: dict[str, JsonValue] | None = None
    """Keywords that the class is made with: critic.options={limit: 3}; null: none."""
