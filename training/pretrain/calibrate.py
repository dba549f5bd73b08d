"""Fits the calibration of the critic: a line from logit(p) to a log-likelihood ratio,
per form and family. For the working form, slope and intercept may depend on a second
feature, the probability of the working (agents/critics/calibration.py).

The fit is a logistic regression on the policy's own proposals for *validation*
questions. Right and wrong steps have equal total weight, which removes the prior: the
line gives log P(verdict | right) - log P(verdict | wrong), not a posterior that depends
on the policy's accuracy. Source: Platt, "Probabilistic outputs for support vector
machines" (1999), including its smoothed targets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.families import FAMILIES
from training.pretrain.evaluate import validation_problems
from training.pretrain.export import load_checkpoint
from training.pretrain.judging import CRITIC_FORMS, Judge, StepScore, logit, nodes_of, truths_of

_SAMPLES = 8
_NEWTON_STEPS = 50
_RIDGE = 1e-3
# minimum number of right and of wrong steps: with twelve wrong steps, the two further
# parameters made the fit worse on new steps in 98 % of trials
_MIN_STEPS_FOR_SURENESS = 50
# keys in the file that agents/critics/calibration.py reads
_NAMES = ("a", "b", "a_sureness", "b_sureness")


def fit_platt(
    logits: Sequence[float], rights: Sequence[bool], sureness: Sequence[float] | None = None
) -> tuple[float, ...]:
    """Fits the log-likelihood ratio a * logit + b, or (a + c w) * logit + b + d w with
    w the `sureness`, by Newton's method.

    Both classes have the same total weight. Returns (a, b), or (a, b, c, d).

    Raises:
        ValueError: one of the classes is empty.
        ArithmeticError: Newton's method did not converge.
    """
    num_right, num_wrong = sum(rights), len(rights) - sum(rights)
    if not num_right or not num_wrong:
        raise ValueError(
            f"a calibration needs right and wrong steps; there are {num_right} and {num_wrong}"
        )
    x, right = np.array(logits), np.array(rights, bool)
    columns = [x, np.ones_like(x)]
    if sureness is not None:
        columns += [x * np.array(sureness), np.array(sureness)]
    features = np.stack(columns, axis=1)
    target = np.where(right, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    weight = np.where(right, 0.5 / num_right, 0.5 / num_wrong)
    prior = np.array([1.0, 0.0, 0.0, 0.0][: len(columns)])
    ridge = np.array([_RIDGE, 1e-9, _RIDGE, _RIDGE][: len(columns)])
    # start at 0, where the curvature is largest: from a = 1, saturated verdicts made
    # the iteration cycle
    found = np.zeros(len(columns))
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(features @ found, -50.0, 50.0)))
        gradient = features.T @ (weight * (p - target)) + ridge * (found - prior)
        curvature = (features.T * (weight * p * (1 - p))) @ features + np.diag(ridge)
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


def calibration_line(verdicts: Sequence[StepScore], rights: Sequence[bool]) -> dict[str, Any]:
    """Returns one entry of the calibration file. The terms of sureness are fitted only
    if it varies and both classes have at least 50 steps.
    """
    sureness = [judged.sureness for judged in verdicts]
    use_sureness = (
        len(set(sureness)) > 1
        and min(sum(rights), len(rights) - sum(rights)) >= _MIN_STEPS_FOR_SURENESS
    )
    fitted = fit_platt(
        [logit(judged.probability) for judged in verdicts],
        rights,
        sureness if use_sureness else None,
    )
    accepted_right = sum(
        judged.probability > 0.5 for judged, right in zip(verdicts, rights, strict=True) if right
    )
    rejected_wrong = sum(
        judged.probability <= 0.5
        for judged, right in zip(verdicts, rights, strict=True)
        if not right
    )
    num_right, num_wrong = sum(rights), len(rights) - sum(rights)
    return {
        **{name: round(value, 4) for name, value in zip(_NAMES, fitted, strict=False)},
        "true_positive_rate": round(accepted_right / num_right, 4),
        "true_negative_rate": round(rejected_wrong / num_wrong, 4),
        "num_right": num_right,
        "num_wrong": num_wrong,
    }


def calibrate_checkpoint(
    checkpoint: Path, out: Path, *, num_questions: int, seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Fits and writes the calibration of both critic forms: {form: {family or "*": {a,
    b, ..., rates, counts}}}.
    """
    judge = Judge(load_checkpoint(checkpoint), seed)
    calibration: dict[str, dict[str, dict[str, Any]]] = {form: {} for form in CRITIC_FORMS}
    pooled: dict[str, tuple[list[StepScore], list[bool]]] = {
        form: ([], []) for form in CRITIC_FORMS
    }
    for family in FAMILIES.values():
        problems = [
            problem
            for level in family.levels
            for problem in validation_problems(family.name, level, num_questions, seed + 1000)
        ]
        truths = truths_of(problems, nodes_of(judge.think(problems, _SAMPLES, 1.0)))
        for form in CRITIC_FORMS:
            verdicts = judge.verdicts(problems, truths, form)
            column, rights = [verdicts[node] for node in truths], list(truths.values())
            pooled[form][0].extend(column)
            pooled[form][1].extend(rights)
            if any(rights) and not all(rights):
                calibration[form][family.name] = calibration_line(column, rights)
            print(form, family.name, json.dumps(calibration[form].get(family.name)), flush=True)
    for form in CRITIC_FORMS:
        calibration[form]["*"] = calibration_line(*pooled[form])
    out.write_text(json.dumps(calibration, indent=2) + "\n")
    return calibration
