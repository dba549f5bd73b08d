"""Fits the calibration of the critic: a line from logit(p) to a log-likelihood ratio,
per form and family. For the working form, slope and intercept may depend on a second
feature, the probability of the working (agents/critics/calibration.py).

The fit (graphs/evaluation/platt.py) uses the policy's own proposals for *validation*
questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.families import FAMILIES
from graphs.evaluation.platt import fit_platt
from training.pretrain.evaluate import validation_problems
from training.pretrain.export import load_checkpoint
from training.pretrain.judging import CRITIC_FORMS, Judge, StepScore, logit, nodes_of, truths_of

_SAMPLES = 8
# minimum number of right and of wrong steps: with twelve wrong steps, the two further
# parameters made the fit worse on new steps in 98 % of trials
_MIN_STEPS_FOR_SURENESS = 50
# keys in the file that agents/critics/calibration.py reads
_NAMES = ("a", "b", "a_sureness", "b_sureness")


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
