"""Platt scaling: a line from a critic's logit to a log-likelihood ratio.

The fit is a logistic regression in which right and wrong examples have equal total
weight. That removes the prior: the line gives log P(verdict | right) - log P(verdict |
wrong), not a posterior that depends on the policy's accuracy.

Source: Platt, "Probabilistic outputs for support vector machines" (1999), including its
smoothed targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NEWTON_STEPS = 50
_RIDGE = 1e-3


def fit_platt(
    logits: Sequence[float],
    rights: Sequence[bool],
    sureness: Sequence[float] | None = None,
    *,
    weights: Sequence[float] | None = None,
    ridge: float = _RIDGE,
    slope: float = 1.0,
) -> tuple[float, ...]:
    """Fits the log-likelihood ratio a * logit + b, or (a + c w) * logit + b + d w with
    w the `sureness`, by Newton's method.

    Both classes have the same total weight. Returns (a, b), or (a, b, c, d).

    Args:
        weights: number of observations of each example; None: 1.
        ridge: precision of the prior on a, c and d.
        slope: mean of the prior on a.

    Raises:
        ValueError: one of the classes is empty.
        ArithmeticError: Newton's method did not converge.
    """
    x, right = np.array(logits), np.array(rights, bool)
    number = np.ones_like(x) if weights is None else np.array(weights, np.float64)
    num_right, num_wrong = float(number[right].sum()), float(number[~right].sum())
    if not num_right or not num_wrong:
        raise ValueError(
            f"a calibration needs right and wrong steps; there are {num_right:g} and {num_wrong:g}"
        )
    columns = [x, np.ones_like(x)]
    if sureness is not None:
        columns += [x * np.array(sureness), np.array(sureness)]
    features = np.stack(columns, axis=1)
    target = np.where(right, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    weight = number * np.where(right, 0.5 / num_right, 0.5 / num_wrong)
    prior = np.array([slope, 0.0, 0.0, 0.0][: len(columns)])
    precision = np.array([ridge, 1e-9, ridge, ridge][: len(columns)])
    # start at 0, where the curvature is largest: from a = 1, saturated verdicts made
    # the iteration cycle
    found = np.zeros(len(columns))
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(features @ found, -50.0, 50.0)))
        gradient = features.T @ (weight * (p - target)) + precision * (found - prior)
        curvature = (features.T * (weight * p * (1 - p))) @ features + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        longest = float(np.abs(step).max())
        # a long Newton step overshoots if the classes hardly overlap
        found -= step * min(1.0, 2.0 / max(longest, 1e-12))
        if longest < 1e-9:
            return tuple(found.tolist())
    raise ArithmeticError(
        f"the calibration did not converge in {_NEWTON_STEPS} Newton steps "
        f"({', '.join(f'{value:.3g}' for value in found)})"
    )
