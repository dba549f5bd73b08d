"""Options of a custom strategy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from agents.objects import NAME
from configs.schema.search.base import SearchOptions


class CustomConfig(SearchOptions):
    """A strategy from outside the package."""

    # an engine that continues no thought refuses the first request that needs it
    continues_thoughts: ClassVar[bool] = False
    strategy: Literal["custom"] = "custom"
    """A strategy of your own, loaded from search.object."""
    object: str = Field(pattern=NAME)
    """package.module:name of a class derived from graphs.strategies.base.Strategy,
    whose `config` is annotated with the class of its options."""
    options: dict[str, JsonValue] | None = None
    """Options of the strategy, by name: search.options={width: 3}; null: defaults."""
