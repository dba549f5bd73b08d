"""The critic dial: what a search gains with oracle verdicts of which a known share is
flipped, over how well they know siblings apart.

Independent flips at rate e leave a within-sibling accuracy of 1 - e. Every learned
critic, and every control, is placed beside the curve by its own within-sibling
accuracy: below it, what a critic loses is in how its errors hang together, not in how
many there are.

*Gain* is accuracy less the best of greedy, majority, log-probability vote and
log-probability beam at the same budget or less. The oracle's verdicts cost nothing, so
this is no comparison at equal cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graphs.evaluation.search_comparison.cells import ORACLE
from graphs.evaluation.search_comparison.closure import BASES
from graphs.evaluation.search_comparison.measure import Key, Table


class Setting(NamedTuple):
    """A critic on the dial."""

    critic: str
    is_oracle: bool
    sibling_accuracy: float
    """Share of pairs of siblings that it orders rightly, in [0, 1]."""
    hard_sibling_accuracy: float
    """The same of the pairs in which the policy prefers the wrong one."""
    sibling_pairs: int
    gains: dict[str, float]
    """By search."""


def noise_sweep(table: Table, n: int, searches: Sequence[str]) -> list[Setting]:
    """Returns every critic that siblings were judged by, with the gain of those of
    `searches` at budget `n` that it was measured in.
    """
    bases = [key for key in table.values if key.method in BASES and key.n <= n]
    if not bases:
        return []
    base = max(float(table.correct(key).mean()) for key in bases)
    settings = []
    for critic, pairs in table.siblings.items():
        keys = {search: Key(search, n, critic) for search in searches}
        gains = {
            search: float(table.correct(key).mean()) - base
            for search, key in keys.items()
            if key in table.values
        }
        settings.append(
            Setting(
                critic,
                critic.startswith(ORACLE),
                pairs.accuracy,
                pairs.hard_accuracy,
                pairs.pairs,
                gains,
            )
        )
    return settings
