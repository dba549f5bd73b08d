"""Options of a training method of your own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from agents.objects import NAME
from configs.schema.training.base import PolicyTraining


class CustomTrainingConfig(PolicyTraining):
    """A training method that does not come with the package."""

    method: Literal["custom"] = "custom"
    """A training method of your own, named by training.object."""
    object: str = Field(pattern=NAME)
    """package.module:name of a class with `config` and `stages`
    (training.methods.base.Method)."""
    options: dict[str, JsonValue] | None = None
    """Its own options, by name: training.options={epochs: 3}; null: their defaults."""
    publish: bool = True
    """Load the trained weights into the running engine and measure them; false: train
    only."""

    @property
    def publishes(self) -> bool:
        return self.publish

    @property
    def asks_questions(self) -> bool:
        return True
