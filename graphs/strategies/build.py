"""From options to a strategy.

An option and the field that it fills have one name. A strategy that has a field `selector`, `max_depth` or `factors` gets it from the whole
configuration: the choice among answers, the budget's depth, the policy's thought factors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from configs import RunConfig
from graphs.selection import Selector
from graphs.strategies.base import Strategy
from graphs.strategies.beam import Beam
from graphs.strategies.best_of_n import BestOfN
from graphs.strategies.critique_loop import CritiqueLoop
from graphs.strategies.greedy import Greedy

STRATEGIES: Mapping[str, type[Strategy]] = {
    "greedy": Greedy,
    "best_of_n": BestOfN,
    "critique_loop": CritiqueLoop,
    "beam": Beam,
}
"""Strategies by the name that `search.strategy` knows them by."""

_SELECTOR_OPTIONS = {field.name for field in dataclasses.fields(Selector)} - {"canonical"}


def build_strategy(config: RunConfig, canonical_answer: Callable[[str], str] = str.strip) -> Strategy:
    """Returns the strategy that `config.search` describes; answers are counted in the form that `canonical_answer` gives them."""
    options: dict[str, Any] = {name: getattr(config.search, name) for name in type(config.search).model_fields if name != "strategy"}
    strategy: Any = STRATEGIES[config.search.strategy]
    fields = {field.name for field in dataclasses.fields(strategy)}
    if "selector" in fields:
        options["selector"] = Selector(**{name: options.pop(name) for name in _SELECTOR_OPTIONS}, canonical=canonical_answer)
    if "max_depth" in fields:
        options["max_depth"] = config.budget.max_depth
    if "factors" in fields:
        options["factors"] = config.policy.factors
    built: Strategy = strategy(**options)
    return built
