"""Summarises a comparison for one group of families: all numbers in the tables and
figures.
"""

from __future__ import annotations

import math
from typing import Any

from configs.schema import SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import CONTROLS, NO_CRITIC, is_seed_of
from graphs.evaluation.search_comparison.choices import SelectedSettings
from graphs.evaluation.search_comparison.closure import (
    Closure,
    Estimate,
    Floats,
    closure,
    difference,
    mean_with_interval,
    reaches,
    resampled,
)
from graphs.evaluation.search_comparison.measure import COVERAGE, DERIVATION, Key, Table
from graphs.evaluation.search_comparison.noise_sweep import noise_sweep

CEILINGS = (DERIVATION, COVERAGE)
VOTE = "weighted_vote"


def summarise(
    comparison: SearchComparisonConfig, choice: SelectedSettings, table: Table
) -> dict[str, Any]:
    """Returns JSON-compatible values, NaN as None. Intervals are 95 % bootstrap
    intervals (graphs/evaluation/search_comparison/closure.py).
    """
    first, n = comparison.critics[0], comparison.main_budget
    seeds = [critic.name for critic in comparison.critics if is_seed_of(critic, first)]
    drawn = resampled(table.strata)
    methods = [key for key in table.values if key.method not in CEILINGS]
    guided = [key for key in methods if key.critic == first.name]
    closures = {
        key.method: found
        for key in guided
        if key.n == n and (found := closure(table, key, seeds, drawn)) is not None
    }
    chosen = choice.strategy
    summary = {
        "questions": len(table.strata),
        "budget": n,
        "rows": [_row(table, key, drawn) for key in methods],
        "ceilings": {
            name: {
                key.n: float(table.correct(key).mean())
                for key in table.values
                if key.method == name and key.critic == first.name
            }
            for name in CEILINGS
        },
        "strategy": chosen,
        "closures": {method: _closure(found) for method, found in closures.items()},
        "to_reach_the_vote": _to_reach(comparison, table, guided, drawn),
        "controls": _controls(table, n, drawn),
        "noise_sweep": [
            setting._asdict()
            for setting in noise_sweep(
                table, n, list(dict.fromkeys((VOTE, comparison.noise_sweep or VOTE)))
            )
        ],
        "loss_attribution": [
            {**key._asdict(), "shares": dict(shares)} for key, shares in table.causes.items()
        ],
    }
    plain: dict[str, Any] = _plain(summary)
    return plain


def _row(table: Table, key: Key, drawn: Floats) -> dict[str, Any]:
    flops, tokens = table.cost(key)
    return {
        **key._asdict(),
        "accuracy": mean_with_interval(table.correct(key), drawn),
        "accuracy_with_free_check": mean_with_interval(table.checked(key), drawn),
        "flops": flops,
        "generated_tokens": tokens,
    }


def _closure(found: Closure) -> dict[str, Any]:
    return {
        **found._asdict(),
        "base_method": found.base_method._asdict(),
        "is_above_0": bool(found.closure.low > 0),
    }


def _to_reach(
    comparison: SearchComparisonConfig, table: Table, guided: list[Key], drawn: Floats
) -> dict[str, Any]:
    """Returns the cost at which each method reaches the accuracy of the weighted vote
    at the large budget; None if no measured budget does.

    The vote with fewer samples is the control: where its accuracy is flat, every method
    reaches it at a low cost.
    """
    target = Key(
        VOTE, comparison.large_budget or comparison.main_budget, comparison.critics[0].name
    )
    if target not in table.values:
        return {"target": None, "methods": {}}
    found: dict[str, Any] = {}
    for method in dict.fromkeys(key.method for key in guided):
        reached = reaches(
            table, [key for key in guided if key.method == method and key != target], target
        )
        found[method] = (
            None
            if reached is None
            else {
                "n": reached.method.n,
                "flops": reached.flops,
                "share_of_flops": reached.share,
                "difference": difference(table, reached.method, target, drawn),
            }
        )
    goal = {
        **target._asdict(),
        "accuracy": float(table.correct(target).mean()),
        "flops": table.cost(target).flops,
    }
    return {"target": goal, "methods": found}


def _controls(table: Table, n: int, drawn: Floats) -> list[dict[str, Any]]:
    """Returns every search with a control as its critic, compared with the majority at
    the same budget.
    """
    majority = Key("majority", n, NO_CRITIC)
    rows = []
    for key in table.values if majority in table.values else ():
        if key.critic in CONTROLS and key.n == n:
            gain = difference(table, key, majority, drawn)
            rows.append(
                {
                    **key._asdict(),
                    "difference_to_majority": gain,
                    "beats_majority": bool(gain.low > 0),
                }
            )
    return rows


def _plain(value: Any) -> Any:
    """Returns JSON-compatible data: an estimate as a mapping, NaN as None."""
    if isinstance(value, Estimate):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
