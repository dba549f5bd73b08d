"""Fits the selector or the assumptions of posterior search, on runs over validation
questions.

    python -m graphs.fit_selector RUN [RUN ...] --out selector.json
    python -m graphs.fit_selector RUN [RUN ...] --assumptions --out assumptions.yaml

Use the first result with search=posterior search.selector_model=selector.json, the
second with the overrides that the command prints.

Without `--assumptions` the command fits the weights of
graphs/strategies/posterior/fitted.py. With it, the command fits the assumptions of the
sum-product pass (graphs/strategies/posterior/belief.py) by coordinate descent on the
log loss over ladders of round values. An assumption that hardly influences the loss
keeps its value, and so does an `abort_rate` of 0.

Log losses are in nats per question: - log of the belief in the right answer, or in "no
answer is right". Questions without an answer are left out. The printed loss is the
training loss, which is optimistic; `python -m graphs.calibration` measures the loss on
other questions.

Runs must use search=best_of_n (with policy.logprobs=always) or search=posterior,
because their samples have the distribution that posterior search assumes, and must not
use test questions. Samples of best-of-N continue past backtrack tokens, so `abort_rate`
is 0 if such a run is included.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import yaml

from agents.answers import canonical
from agents.files import write_text
from agents.types import BadDataError
from configs import RunConfig
from configs.cli import Parser
from configs.schema import BestOfNConfig, PosteriorConfig
from graphs.evaluation.calibration import Reader, log_loss
from graphs.strategies.posterior.belief import BeliefModel
from graphs.strategies.posterior.fitted import FEATURES, AnswerModel, choices
from graphs.terminal.console import console, guarded, run_folder
from graphs.traces.checked import CheckedThought, config_of, format_left_out, read_checked

LADDERS: Mapping[str, tuple[float, ...]] = {
    "right_rate": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "logprob_weight": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "evidence_weight": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "wrong_answers": (2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
    "accident": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3),
    "abort_ratio": (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7),
    "abort_rate": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "prior_strength": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
}
"""Assumption of `BeliefModel` -> values to try; assumptions are tried in this order."""

LEAST_GAIN = 1e-3
"""Least reduction of the log loss by a change, in nats per question; less is noise with
a few hundred questions."""


class AssumptionsFit(NamedTuple):
    """Result of fitting the assumptions."""

    belief_model: BeliefModel
    before: float
    """Mean log loss of the initial assumptions, in nats."""
    after: float
    """Mean log loss of `belief_model`, in nats; at most `before`."""
    flat: tuple[str, ...]
    """Assumptions that hardly influence the loss: it varies by less than `LEAST_GAIN`
    over the ladder."""


def fit_assumptions(thoughts: Sequence[CheckedThought], start: BeliefModel) -> AssumptionsFit:
    """Returns the assumptions with the least log loss, by coordinate descent from
    `start`.
    """
    losses: dict[BeliefModel, float] = {}

    def loss(belief_model: BeliefModel) -> float:
        if belief_model not in losses:
            losses[belief_model] = mean_log_loss(thoughts, belief_model)
        return losses[belief_model]

    ladders = {
        name: ladder for name, ladder in LADDERS.items() if name != "abort_rate" or start.abort_rate
    }
    best, before, flat, changed = start, loss(start), set[str](), True
    while changed:
        changed = False
        for name, ladder in ladders.items():
            tried = [best, *(_with(best, name, value) for value in ladder)]
            better, worst = min(tried, key=loss), max(tried, key=loss)
            if loss(worst) - loss(better) < LEAST_GAIN:
                flat.add(name)
            else:
                flat.discard(name)
            if loss(better) < loss(best) - LEAST_GAIN:
                best, changed = better, True
    return AssumptionsFit(best, before, loss(best), tuple(name for name in LADDERS if name in flat))


def _with(belief_model: BeliefModel, name: str, value: float) -> BeliefModel:
    return replace(
        belief_model, assumptions=belief_model.assumptions.model_copy(update={name: value})
    )


def mean_log_loss(thoughts: Sequence[CheckedThought], model: BeliefModel | AnswerModel) -> float:
    """Returns the mean log loss of a model over the thoughts with an answer, in nats; 0
    if there are none.
    """
    losses = []
    for thought in thoughts:
        if thought.right:
            own = replace(model, canonical=partial(canonical, task=thought.question.task))
            belief = own.infer(thought.tree)
            answers = belief if isinstance(belief, dict) else belief.answers
            losses.append(log_loss(answers, thought.right, many_answers=model.many_answers))
    return sum(losses) / max(len(losses), 1)


def read_for_fit(
    folder: Path, *, allow_test: bool = False
) -> tuple[RunConfig, list[CheckedThought]]:
    """Returns the configuration of a run and its thoughts; prints the number of
    questions left out.

    Raises:
        BadDataError: the run uses another search or possibly test questions, or none of
            its questions can be checked.
    """
    config = config_of(folder)
    if not isinstance(config.search, BestOfNConfig | PosteriorConfig):
        raise BadDataError(
            f"{folder} was searched with search={config.search.strategy}, and a selector is "
            "fitted on trees of search=best_of_n or search=posterior; give a run with one of them"
        )
    split = getattr(config.task, "split", None)
    if split not in ("train", "validation") and not allow_test:
        raise BadDataError(
            f"{folder} has task.split={split or 'null'}, and a fit on test questions cannot be "
            "measured on them; give a run with task.split=validation, or use --allow-test and "
            "never measure on this set"
        )
    _, thoughts, left_out = asyncio.run(read_checked(folder))
    if left_out:
        console.print(
            f"{folder}: left out: {format_left_out(left_out)}", style="yellow", markup=False
        )
    return config, thoughts


def as_yaml(fit: AssumptionsFit, runs: Sequence[str], questions: int) -> str:
    """Returns the assumptions as YAML for `experiment=NAME`, to be put into a folder
    `experiment` on hydra.searchpath.
    """
    options = {
        name: getattr(fit.belief_model.assumptions, name) for name in (*LADDERS, "many_answers")
    }
    about = (
        f"# Assumptions of search=posterior, fitted on {questions} questions of {', '.join(runs)}:"
    )
    return (
        f"# @package _global_\n{about}\n# log loss of the right answer {fit.before:.3f} before, "
        f"{fit.after:.3f} after.\n"
        "defaults:\n  - override /search: posterior\n"
        + yaml.safe_dump({"search": options}, sort_keys=False)
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.fit_selector", description="Fits how a posterior search reads trees."
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="names or directories of runs over validation questions"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="file to write: JSON for search.selector_model, YAML with --assumptions",
    )
    parser.add_argument(
        "--assumptions",
        action="store_true",
        help="fit the assumptions of the sum-product pass instead of a selector",
    )
    parser.add_argument(
        "--many-answers",
        action="store_true",
        help="questions may have several right answers: answers do not exclude each other",
    )
    parser.add_argument(
        "--ridge",
        type=float,
        default=1.0,
        help="precision of the prior on a selector's weights (default 1)",
    )
    parser.add_argument(
        "--allow-test", action="store_true", help="accept runs over test questions, too"
    )
    arguments = parser.parse_args(argv)
    folders = [run_folder(run) for run in arguments.runs]
    read = [read_for_fit(folder, allow_test=arguments.allow_test) for folder in folders]
    thoughts = [thought for _, own in read for thought in own if thought.right]
    names = [folder.resolve().name for folder in folders]
    assumed = [Reader(config).search("user").belief_model for config, _ in read]
    many_answers = arguments.many_answers or assumed[0].many_answers
    rate = min(own.abort_rate for own in assumed)
    changes = {"many_answers": many_answers, "abort_rate": rate}
    belief_model = replace(
        assumed[0], assumptions=assumed[0].assumptions.model_copy(update=changes)
    )
    if not thoughts:
        raise BadDataError(
            f"no question of {', '.join(names)} has an answer; give runs with answered questions"
        )
    print(
        f"{len(thoughts)} questions with an answer, of {', '.join(names)}; log loss of the right "
        "answer, in nats"
    )
    if arguments.assumptions:
        _fit_assumptions(thoughts, belief_model, names, arguments.out)
    else:
        _fit_selector(thoughts, belief_model, names, arguments.ridge, arguments.out)
    return 0


def _fit_assumptions(
    thoughts: Sequence[CheckedThought], start: BeliefModel, names: Sequence[str], out: Path
) -> None:
    fit = fit_assumptions(thoughts, start)
    write_text(out, as_yaml(fit, names, len(thoughts)), elsewhere="name another file with --out")
    print(f"before {fit.before:.3f}, after {fit.after:.3f}")
    print(
        " ".join(
            f"search.{name}={getattr(fit.belief_model.assumptions, name):g}" for name in LADDERS
        )
    )
    if fit.flat:
        print(f"kept, because the loss hardly depends on them: {', '.join(fit.flat)}")


def _fit_selector(
    thoughts: Sequence[CheckedThought],
    belief_model: BeliefModel,
    names: Sequence[str],
    ridge: float,
    out: Path,
) -> None:
    examples = [
        choices(
            thought.tree,
            thought.right,
            canonical=partial(canonical, task=thought.question.task),
            many_answers=belief_model.many_answers,
        )
        for thought in thoughts
    ]
    model = AnswerModel.fit(
        examples, many_answers=belief_model.many_answers, ridge=ridge, fitted_on=names
    )
    model.save(out)
    print(
        f"sum-product pass {mean_log_loss(thoughts, belief_model):.3f}, fitted selector "
        f"{mean_log_loss(thoughts, model):.3f}"
    )
    print(
        ", ".join(
            f"{name} {weight:+.3f}" for name, weight in zip(FEATURES, model.weights, strict=True)
        )
    )


if __name__ == "__main__":
    sys.exit(guarded(main))
