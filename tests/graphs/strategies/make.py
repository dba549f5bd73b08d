"""Builds strategies from single options; all others have their defaults."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

from configs.schema.search.posterior import Assumptions
from graphs.strategies.base import SearchContext, Strategy
from graphs.strategies.posterior.belief import BeliefModel
from graphs.strategies.selection import Selector

S = TypeVar("S", bound=Strategy)

_CONTEXT = ("canonical", "max_depth", "factors", "can_backtrack", "answer_model")


def make(
    strategy: type[S],
    num_samples: int | None = None,
    selector: Selector | None = None,
    **options: Any,
) -> S:
    """Returns the strategy with these options, the others at their defaults.

    A `selector` or a `belief_model` sets the options that it is built from. Fields of
    `SearchContext` are options, too. The `medium` and `hard` strategies of
    compute-optimal search may be passed as strategies.
    """
    searchers = {
        name: options.pop(name)
        for name in ("medium", "hard")
        if isinstance(options.get(name), Strategy)
    }
    kind = get_type_hints(strategy)["config"]
    fields = kind.model_fields
    context = {name: options.pop(name) for name in _CONTEXT if name in options}
    if num_samples is not None:
        options["num_samples"] = num_samples
    if selector is not None:
        chosen = ("selection", "aggregation", "logprob_weight", "outcome_weight")
        options |= {name: getattr(selector, name) for name in chosen if name in fields}
        context.setdefault("canonical", selector.canonical)
    if (belief_model := options.pop("belief_model", None)) is not None:
        options |= belief_model.assumptions.model_dump()
        context.setdefault("canonical", belief_model.canonical)
    made = strategy(kind(**options), SearchContext(**context))
    vars(made).update(searchers)  # where a cached property keeps its value
    return made


def assuming(*, canonical: Any = str.strip, **assumptions: Any) -> BeliefModel:
    """Returns a belief_model with these assumptions, the others at their defaults."""
    return BeliefModel(Assumptions(**assumptions), canonical)
