"""Closure: the share of the possible gain that a search achieves, with an interval; and
the cost at which a search reaches the accuracy of a vote.

    closure = (accuracy - base) / (coverage - base)

*Base* is the accuracy of the best method without a critic (greedy, majority,
log-probability vote, log-probability beam) at the budget N or less, or at more within
the method's own FLOPs. The best is taken on the test questions, and again in every
resample, which favours the base. *Coverage* is the share of questions for which some of
N samples has a right derivation, that is an answer and steps that are all right.

Intervals are from a hierarchical bootstrap: questions are resampled within their
families, the same for all methods, and critics among their training seeds. Seeds of the
search are averaged within a question. With one critic it is a bootstrap over questions;
with two or three the interval is too narrow, because so few critics underestimate the
variance between critics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.evaluation.search_comparison.measure import DERIVATION, Key, Table

Floats = NDArray[np.float64]

BASES = ("greedy", "majority", "logprob_vote", "logprob_beam")
RESAMPLES = 2000
_SEED = 0  # of the bootstrap


class Estimate(NamedTuple):
    """A value with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


class Closure(NamedTuple):
    """See the module."""

    closure: Estimate
    accuracy: float
    base: float
    base_method: Key
    coverage: float
    critics: int
    """Training seeds."""


class Reached(NamedTuple):
    """The cost at which a method answers as many questions as another one."""

    method: Key
    """The method at the budget with the fewest FLOPs that suffices."""
    flops: float
    share: float
    """Its FLOPs divided by those of the other method."""


def resampled(strata: NDArray[np.int64], *, resamples: int = RESAMPLES) -> Floats:
    """Returns the weight of each question in each bootstrap resample, [resamples, Q],
    rows summing to 1; the resampling is stratified by family.
    """
    rng = np.random.default_rng(_SEED)
    drawn = np.zeros((resamples, len(strata)))
    for family in np.unique(strata):
        members = np.flatnonzero(strata == family)
        drawn[:, members] = rng.multinomial(
            len(members), [1 / len(members)] * len(members), size=resamples
        )
    return drawn / len(strata)


def interval_of(resamples: Floats) -> tuple[float, float]:
    """Returns the 2.5 and 97.5 % quantiles of the finite values; NaN without any."""
    defined = resamples[np.isfinite(resamples)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, (2.5, 97.5)).tolist()
    return low, high


def mean_with_interval(values: Floats, drawn: Floats) -> Estimate:
    """Returns the mean over questions, [Q], with its interval."""
    return Estimate(float(values.mean()), *interval_of(drawn @ values))


def bases_for(table: Table, method: Key) -> list[Key]:
    """Returns the bases of a method: those within its budget or within its FLOPs."""
    reach = table.cost(method).flops
    return [
        key
        for key in table.values
        if key.method in BASES and (key.n <= method.n or table.cost(key).flops <= reach)
    ]


def closure(table: Table, method: Key, critics: Sequence[str], drawn: Floats) -> Closure | None:
    """Returns the closure of a method over the training seeds of its critic; None if
    base or coverage was not measured.

    Args:
        method: the method with the first critic.
        critics: names of all training seeds; those without a measurement are left out.
        drawn: see `resampled`.
    """
    ceiling = Key(DERIVATION, method.n, method.critic)
    bases = bases_for(table, method)
    if not bases or ceiling not in table.values:
        return None
    keys = [
        key for critic in critics if (key := method._replace(critic=critic)) in table.values
    ] or [method]
    correct = np.array([table.correct(key) for key in keys])  # [C, Q]
    base = np.array([table.correct(key) for key in bases])  # [B, Q]
    covered = table.correct(ceiling)
    rng = np.random.default_rng(_SEED)
    # [resamples, C]
    shares = rng.multinomial(len(keys), [1 / len(keys)] * len(keys), size=len(drawn)) / len(keys)
    accuracies = (shares * (drawn @ correct.T)).sum(axis=1)
    values = _closure(accuracies, (drawn @ base.T).max(axis=1), drawn @ covered)
    means = base.mean(axis=1)
    accuracy, best = float(correct.mean()), float(means.max())
    value = float(_closure(np.array([accuracy]), np.array([best]), np.array([covered.mean()]))[0])
    return Closure(
        Estimate(value, *interval_of(values)),
        accuracy,
        best,
        bases[int(means.argmax())],
        float(covered.mean()),
        len(keys),
    )


def _closure(accuracy: Floats, base: Floats, covered: Floats) -> Floats:
    """Returns closures; NaN where coverage does not exceed the base."""
    gap = covered - base
    return np.where(gap > 0, (accuracy - base) / np.where(gap > 0, gap, 1.0), np.nan)


def reaches(table: Table, methods: Sequence[Key], target: Key) -> Reached | None:
    """Returns the cheapest of `methods` that answers at least as many questions as
    `target`; None if none does.

    Only measured budgets count; there is no interpolation.
    """
    goal, cost = float(table.correct(target).mean()), table.cost(target).flops
    reached = [key for key in methods if float(table.correct(key).mean()) >= goal]
    if not reached:
        return None
    cheapest = min(reached, key=lambda key: table.cost(key).flops)
    flops = table.cost(cheapest).flops
    return Reached(cheapest, flops, flops / cost)


def difference(table: Table, method: Key, other: Key, drawn: Floats) -> Estimate:
    """Returns the accuracy of `method` less that of `other`, paired by question."""
    return mean_with_interval(table.correct(method) - table.correct(other), drawn)
