"""Fits what the critic's probability is worth: a line from logit(p) to a log-likelihood ratio, per form and family.

Fitted by logistic regression on the policy's own proposals for *validation* questions; the prior is dropped by weighting right and
wrong steps equally, so that the line gives log P(verdict | right) - log P(verdict | wrong) and not a posterior of the policy's skill.
Source: Platt, "Probabilistic outputs for support vector machines" (1999), whose smoothed targets we keep.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.families import FAMILIES
from training.pretrain.evaluate import validation_problems
from training.pretrain.export import load_checkpoint
from training.pretrain.judging import CRITIC_FORMS, Judge, logit, nodes_of, truths_of

_SAMPLES = 8
_NEWTON_STEPS = 50
_RIDGE = 1e-3


def fit_platt(logits: Sequence[float], rights: Sequence[bool]) -> tuple[float, float]:
    """Returns slope a and intercept b of the log-likelihood ratio a * logit + b, by Newton's method with equal class weights.

    Raises:
        ValueError: one of the classes is empty.
        ArithmeticError: Newton's method did not converge.
    """
    num_right, num_wrong = sum(rights), len(rights) - sum(rights)
    if not num_right or not num_wrong:
        raise ValueError(f"a calibration needs right and wrong steps; there are {num_right} and {num_wrong}")
    high, low = (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2)
    a, b = 0.0, 0.0  # where the curvature is largest: from a = 1, saturated verdicts made the steps cycle
    for _ in range(_NEWTON_STEPS):
        gradient_a, gradient_b, haa, hab, hbb = _RIDGE * (a - 1.0), 0.0, _RIDGE, 0.0, 1e-9
        for x, right in zip(logits, rights, strict=True):
            weight = 0.5 / (num_right if right else num_wrong)
            p = 1 / (1 + math.exp(-max(-50.0, min(50.0, a * x + b))))
            error, curvature = weight * (p - (high if right else low)), weight * p * (1 - p)
            gradient_a, gradient_b = gradient_a + error * x, gradient_b + error
            haa, hab, hbb = haa + curvature * x * x, hab + curvature * x, hbb + curvature
        determinant = haa * hbb - hab * hab
        step_a = (hbb * gradient_a - hab * gradient_b) / determinant
        step_b = (haa * gradient_b - hab * gradient_a) / determinant
        size = min(1.0, 2.0 / max(abs(step_a), abs(step_b), 1e-12))  # a long Newton step overshoots where classes hardly overlap
        a, b = a - size * step_a, b - size * step_b
        if max(abs(step_a), abs(step_b)) < 1e-9:
            return a, b
    raise ArithmeticError(f"the calibration did not converge in {_NEWTON_STEPS} Newton steps (a = {a:.3g}, b = {b:.3g})")


def calibration_line(scores: Sequence[float], rights: Sequence[bool]) -> dict[str, Any]:
    """Returns one entry of the calibration file."""
    a, b = fit_platt([logit(score) for score in scores], rights)
    accepted_right = sum(score > 0.5 for score, right in zip(scores, rights, strict=True) if right)
    rejected_wrong = sum(score <= 0.5 for score, right in zip(scores, rights, strict=True) if not right)
    num_right, num_wrong = sum(rights), len(rights) - sum(rights)
    return {
        "a": round(a, 4),
        "b": round(b, 4),
        "true_positive_rate": round(accepted_right / num_right, 4),
        "true_negative_rate": round(rejected_wrong / num_wrong, 4),
        "num_right": num_right,
        "num_wrong": num_wrong,
    }


def calibrate_checkpoint(checkpoint: Path, out: Path, *, num_questions: int, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Writes the calibration of both critic forms: {form: {family or "*": {a, b, rates, counts}}}."""
    judge = Judge(load_checkpoint(checkpoint), seed)
    calibration: dict[str, dict[str, dict[str, Any]]] = {form: {} for form in CRITIC_FORMS}
    everything: dict[str, tuple[list[float], list[bool]]] = {form: ([], []) for form in CRITIC_FORMS}
    for family in FAMILIES.values():
        problems = [problem for level in family.levels for problem in validation_problems(family.name, level, num_questions, seed + 1000)]
        truths = truths_of(problems, nodes_of(judge.think(problems, _SAMPLES, 1.0)))
        for form in CRITIC_FORMS:
            scores = judge.verdicts(problems, truths, form)
            column, rights = [scores[node] for node in truths], list(truths.values())
            everything[form][0].extend(column)
            everything[form][1].extend(rights)
            if any(rights) and not all(rights):
                calibration[form][family.name] = calibration_line(column, rights)
            print(form, family.name, json.dumps(calibration[form].get(family.name)), flush=True)
    for form in CRITIC_FORMS:
        calibration[form]["*"] = calibration_line(*everything[form])
    out.write_text(json.dumps(calibration, indent=2) + "\n")
    return calibration
