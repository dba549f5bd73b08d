"""Fits how a posterior search reads trees, on finished runs over validation questions.

    python -m graphs.fit_selector RUN [RUN ...] --out selector.json
    python -m graphs.fit_selector RUN [RUN ...] --assumptions --out assumptions.yaml

The first is used with search=posterior search.selector_model=selector.json, the second
with the words that it prints.

Without `--assumptions`: the weights of graphs/strategies/posterior/fitted.py. With it:
the assumptions of the sum-product pass (graphs/strategies/posterior/belief.py) that
give the truth about the answers the least log loss, found by going through them one at
a time, on ladders of round values, until no change betters it. An assumption that the
loss hardly depends on stays as it was, and so does a `abort_rate` of 0.

Log losses are in nats per question: - log of the belief in the right answer, or in none
of them; questions without an answer are left out. What is told is the loss on the very
questions that the numbers were fitted on, which flatters; `python -m
graphs.calibration` measures it on others.

Runs must be of search=best_of_n (with policy.logprobs=always) or posterior, whose
samples are drawn as a posterior search draws them, and not over test questions. But a
best-of-N's samples go through the policy's doubts, so where such a run is among them
`abort_rate` is 0.
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
"""Values that are tried for the assumptions of `BeliefModel`, in the order in which
they are."""

LEAST_GAIN = 1e-3
"""Nats per question by which a change must better the log loss; less is noise of a few
hundred questions."""


class AssumptionsFit(NamedTuple):
    """What the search for better assumptions came to."""

    belief_model: BeliefModel
    before: float
    """Mean log loss of the assumptions that it began with, in nats."""
    after: float
    """Mean log loss of `belief_model`, in nats; at most `before`."""
    flat: tuple[str, ...]
    """Assumptions on which the loss hardly depends: all values of the ladder are within
    `LEAST_GAIN`."""


def fit_assumptions(thoughts: Sequence[CheckedThought], start: BeliefModel) -> AssumptionsFit:
    """Returns the assumptions under which the truth about the answers is most probable,
    by coordinate search from `start`.
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
    """Returns the mean log loss of a model's beliefs over the thoughts that came to an
    answer, in nats; 0 where none did.
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
    """Returns the configuration of a run and its thoughts; says on the console what is
    left out.

    Raises:
        BadDataError: its search is another one, its questions may be for testing, or
            none can be checked.
    """
    config = config_of(folder)
    if not isinstance(config.search, BestOfNConfig | PosteriorConfig):
        raise BadDataError(
            f"{folder} was searched with search={config.search.strategy}, and a selector is "
            "fitted on what search=best_of_n or "
            "search=posterior leaves behind; give a run with one of them"
        )
    split = getattr(config.task, "split", None)
    if split not in ("train", "validation") and not allow_test:
        raise BadDataError(
            f"{folder} has task.split={split or 'null'}, and what is fitted on test questions "
            "cannot be measured on them; give a run with task.split=validation, or say "
            "--allow-test and never measure on this set"
        )
    _, thoughts, left_out = asyncio.run(read_checked(folder))
    if left_out:
        console.print(
            f"{folder}: left out: {format_left_out(left_out)}", style="yellow", markup=False
        )
    return config, thoughts


def as_yaml(fit: AssumptionsFit, runs: Sequence[str], questions: int) -> str:
    """Returns the assumptions as an experiment: a file that `experiment=NAME` finds in
    a folder `experiment` of hydra.searchpath.
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
        help="questions may have several right answers, so that they are no rivals",
    )
    parser.add_argument(
        "--ridge",
        type=float,
        default=1.0,
        help="precision of the prior on a selector's weights (default 1)",
    )
    parser.add_argument(
        "--allow-test", action="store_true", help="take runs over test questions, too"
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
            f"no question of {', '.join(names)} came to an answer; give runs in which some did"
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
        print(f"kept, for the loss hardly depends on it: {', '.join(fit.flat)}")


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
