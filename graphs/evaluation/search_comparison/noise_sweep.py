"""The noise sweep: the gain of a search with an oracle whose verdicts are inverted at a
known rate, over the within-sibling accuracy of those verdicts.

Independent flips at rate e leave a within-sibling accuracy of 1 - e. Every learned
critic and control is plotted at its own within-sibling accuracy. A critic below the
curve loses by the correlation of its errors, not by their number.

*Gain* is accuracy less the best of greedy, majority, log-probability vote and
log-probability beam at the same budget or less. The oracle's verdicts are free, so this
is not a comparison at equal cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graphs.evaluation.search_comparison.cells import ORACLE
from graphs.evaluation.search_comparison.closure import BASES
from graphs.evaluation.search_comparison.measure import Key, Table


class Setting(NamedTuple):
    """A critic of the noise sweep."""

    critic: str
    is_oracle: bool
    sibling_accuracy: float
    """Share of sibling pairs that the critic orders correctly, in [0, 1]."""
    hard_sibling_accuracy: float
    """The same share among pairs in which the policy prefers the wrong sibling."""
    sibling_pairs: int
    gains: dict[str, float]
    """Gain of each search with this critic."""


def noise_sweep(table: Table, n: int, searches: Sequence[str]) -> list[Setting]:
    """Returns every critic with sibling pairs, and the gains of those `searches` at
    budget `n` that were measured with it.
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
