"""Calibration curves of the posterior's answer beliefs and the critic's verdicts in a
stored run, by question family.

    python -m graphs.calibration RUN [search.evidence_weight=0.5]
        [search.selector_model=FILE] [--json]

*Answers.* The posterior of each finished tree is recomputed from its events: the
probability of the best answer is compared with whether that answer is right. A run with
search=posterior is read under its own assumptions; any other run under the defaults of
search=posterior, but with `abort_rate` 0, because its samples may continue past
backtrack tokens. Overrides change the assumptions, so one run's trees can evaluate
other assumptions. A question without an answer has no belief; such questions are
counted.

*Verdicts.* Needs an exact checker of steps. The critic's sigma(log-likelihood ratio) on
the policy's steps is compared with whether the steps are right. It is the probability
at even odds; if 9 of 10 steps are right, steps are right more often than a correct
ratio alone suggests. So the errors are also reported with the family's share of right
steps as the prior, as a search uses the evidence. *Siblings*: among pairs of judged
children of a path without mistakes, one right and one wrong, the share in which the
right one has the larger ratio (a tie is half). A critic may separate easy from hard
questions but not a step from its sibling, and a search needs the latter.

Brier score and log loss refer to the event "the best answer (or the step) is right".
The log loss of the right answer, which `graphs.evaluation.fit_selector` minimises, is -
log of the belief in the right answer, or in "no answer is right".

Sources: Brier, "Verification of forecasts expressed in terms of probability" (1950);
Guo et al., "On calibration of modern neural networks" (arXiv:1706.04599), eq. 3, for
the expected calibration error, here with ten equal bins.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.answers import canonical
from configs import RunConfig, compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from configs.schema import PosteriorConfig
from graphs.evaluation.intervals import Proportion
from graphs.evaluation.siblings import SiblingPairs, sibling_pairs
from graphs.strategies import Posterior
from graphs.strategies.build import build_strategy
from graphs.terminal.console import console, guarded, run_folder
from graphs.traces.checked import CheckedThought, format_left_out, read_checked
from graphs.tree import ReasoningTree

_BINS = 10
_LEAST = 1e-6  # beliefs are clipped here, which bounds the log loss
_BAR = 20  # characters


class Bin(NamedTuple):
    """Beliefs in [low, high) and the frequency of the event; the last bin includes
    1.
    """

    low: float
    high: float
    believed: float
    """Mean belief."""
    right: Proportion


class Reliability(NamedTuple):
    """Calibration of beliefs in an event. All values are NaN without beliefs."""

    bins: tuple[Bin, ...]
    """The bins that are not empty, in order."""
    expected_calibration_error: float
    """Mean over beliefs of |mean belief - frequency| in their bin, in [0, 1]."""
    brier_score: float
    """Mean squared difference between belief and truth, in [0, 1]; 0.25 if all beliefs
    are 1/2."""
    log_loss: float
    """Mean of - log of the belief in the truth, in nats; 0.69 if all beliefs are
    1/2."""


class Verdicts(NamedTuple):
    """Verdicts on the steps of one question."""

    family: str
    evidence: list[float]
    """Log-likelihood ratios, in nats, one per judged step."""
    right: list[bool]
    siblings: SiblingPairs


def reliability(believed: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Returns the calibration of beliefs, in [0, 1], that an answer or step is
    `right`.
    """
    if not believed:
        return Reliability((), math.nan, math.nan, math.nan)
    p, truth = np.array(believed, np.float64), np.array(right, bool)
    where = np.minimum((p * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        Bin(
            number / _BINS,
            (number + 1) / _BINS,
            float(p[where == number].mean()),
            Proportion(int(truth[where == number].sum()), int(size)),
        )
        for number, size in enumerate(np.bincount(where, minlength=_BINS))
        if size
    )
    error = sum(one.right.total * abs(one.believed - one.right.value) for one in bins) / len(p)
    p_of_truth = np.maximum(np.where(truth, p, 1.0 - p), _LEAST)
    return Reliability(
        bins, error, float(((p - truth) ** 2).mean()), float(-np.log(p_of_truth).mean()) + 0.0
    )


def log_loss(
    answers: Mapping[str, float], right: Mapping[str, bool], *, many_answers: bool = False
) -> float:
    """Returns the log loss of a question's answer beliefs, in nats; 0 without answers.

    By default answers exclude each other: - log of the belief in the right answer, or
    in "no answer is right". With `many_answers` each answer is an event of its own: the
    mean binary log loss over the answers.
    """
    if not answers:
        return 0.0
    if many_answers:
        believed = [p if right[answer] else 1.0 - p for answer, p in answers.items()]
        return sum(-math.log(max(p, _LEAST)) for p in believed) / len(believed)
    in_right = sum(p for answer, p in answers.items() if right[answer])
    return (
        -math.log(
            min(max(in_right if any(right.values()) else 1.0 - sum(answers.values()), _LEAST), 1.0)
        )
        + 0.0
    )


class Reader:
    """Computes a posterior search's beliefs about finished trees."""

    options: PosteriorConfig
    """Assumptions of the posterior search."""

    def __init__(self, config: RunConfig, words: Sequence[str] = ()) -> None:
        """Uses the assumptions of `config` if it is a posterior search, or else the
        schema's defaults; the overrides `words` change them.

        Raises:
            ConfigError: an override is invalid.
            ValueError: an override is not an option of the search.
        """
        for word in words:
            if not word.startswith("search."):
                raise ValueError(
                    f"{word} does not say how a tree is read; give options of search=posterior, as "
                    "search.evidence_weight=0.5"
                )
        own: dict[str, Any] = {"abort_rate": 0}
        if isinstance(config.search, PosteriorConfig):
            own = config.search.model_dump(mode="json", exclude={"strategy"})
        search = compose(
            [
                "search=posterior",
                *(f"search.{name}={json.dumps(value)}" for name, value in own.items()),
                *words,
            ]
        ).search
        assert isinstance(search, PosteriorConfig)
        self.options = search
        self._config = config.model_copy(update={"search": search})
        self._searches: dict[str, Posterior] = {}

    def search(self, task: str) -> Posterior:
        """Returns the posterior search that compares answers in the canonical form of
        `task`.
        """
        if task not in self._searches:
            search = build_strategy(self._config, partial(canonical, task=task))
            assert isinstance(search, Posterior)
            self._searches[task] = search
        return self._searches[task]

    def infer(self, tree: ReasoningTree) -> dict[str, float]:
        """Returns canonical form -> probability that the answer is right, for
        `tree`.
        """
        return self.search(tree.question.task).infer(tree).answers


def read_verdicts(thought: CheckedThought) -> Verdicts | None:
    """Returns the verdicts on a thought's steps and the truth about them; None if the
    truth is unknown.
    """
    truth = thought.truth()
    if truth is None:
        return None
    judged = np.flatnonzero(thought.tree.judged)
    evidence, right = (
        thought.tree.log_likelihood_ratio[judged].tolist(),
        truth.right[judged].tolist(),
    )
    return Verdicts(thought.family, evidence, right, sibling_pairs(thought.tree, truth))


def report(thoughts: Sequence[CheckedThought], reader: Reader) -> list[dict[str, Any]]:
    """Returns one row per family, preceded by a row "all" if there are several
    families.
    """
    beliefs = [reader.infer(thought.tree) for thought in thoughts]
    verdicts = [
        one for thought in thoughts if (one := read_verdicts(thought)) is not None and one.evidence
    ]
    verdicts_of_family: defaultdict[str, list[Verdicts]] = defaultdict(list)
    for one in verdicts:
        verdicts_of_family[one.family].append(one)
    members: defaultdict[str, list[int]] = defaultdict(list)
    for number, thought in enumerate(thoughts):
        members[thought.family].append(number)
    rows = []
    for family in ["all", *sorted(members)] if len(members) > 1 else sorted(members):
        numbers = range(len(thoughts)) if family == "all" else members[family]
        own = verdicts if family == "all" else verdicts_of_family[family]
        pairs = [(thoughts[number], beliefs[number]) for number in numbers]
        rows.append(
            {
                "family": family,
                "answers": _answers(pairs, reader.options.many_answers),
                "verdicts": _verdicts(own),
            }
        )
    return rows


def _answers(
    pairs: Sequence[tuple[CheckedThought, dict[str, float]]], many_answers: bool
) -> dict[str, Any]:
    believed = [max(belief.items(), key=lambda item: item[1]) for _, belief in pairs if belief]
    answered = [thought for thought, belief in pairs if belief]
    losses = [
        log_loss(belief, thought.right, many_answers=many_answers)
        for thought, belief in pairs
        if belief
    ]
    return {
        "questions": len(pairs),
        "unanswered": len(pairs) - len(answered),
        "log_loss_of_right_answer": sum(losses) / len(losses) if losses else None,
        **_as_json(
            reliability(
                [p for _, p in believed],
                [thought.right[a] for thought, (a, _) in zip(answered, believed, strict=True)],
            )
        ),
    }


def _verdicts(own: Sequence[Verdicts]) -> dict[str, Any] | None:
    """Returns the calibration of verdicts; None without verdicts of known truth. The
    prior is that of each step's family, also in the row of all families.
    """
    if not own:
        return None
    right_by_family: Counter[str] = Counter()
    steps_by_family: Counter[str] = Counter()
    for one in own:
        right_by_family[one.family] += sum(one.right)
        steps_by_family[one.family] += len(one.right)
    evidence = np.array([llr for one in own for llr in one.evidence])
    right = [truth for one in own for truth in one.right]
    share = np.array(
        [
            right_by_family[one.family] / steps_by_family[one.family]
            for one in own
            for _ in one.right
        ]
    )
    with np.errstate(divide="ignore"):  # a family without wrong steps has prior log-odds +inf
        prior = np.log(share) - np.log1p(-share)
    with_prior = _as_json(reliability(_sigmoid(evidence + prior), right))
    siblings = reduce(SiblingPairs.plus, (one.siblings for one in own), SiblingPairs())
    return {
        "steps": len(right),
        "right": sum(right) / len(right),
        **_as_json(reliability(_sigmoid(evidence), right)),
        "with_prior": {name: value for name, value in with_prior.items() if name != "bins"},
        "siblings": {
            "pairs": siblings.pairs,
            "accuracy": siblings.accuracy if siblings.pairs else None,
        },
    }


def _sigmoid(logits: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    return [float(p) for p in np.exp(-np.logaddexp(0.0, -logits))]


def _as_json(curve: Reliability) -> dict[str, Any]:
    bins = [
        {
            "from": one.low,
            "to": one.high,
            "believed": one.believed,
            "right": one.right.successes,
            "of": one.right.total,
        }
        | {"value": one.right.value, "interval": list(one.right.interval)}
        for one in curve.bins
    ]
    numbers = {
        name: None if math.isnan(value) else value
        for name, value in curve._asdict().items()
        if name != "bins"
    }
    return {"bins": bins, **numbers}


def text(row: Mapping[str, Any]) -> str:
    """Returns a family's row as text, with its curves as bars."""
    answers, verdicts = row["answers"], row["verdicts"]
    lines = [
        f"{row['family']}: {answers['questions']} questions, {answers['unanswered']} of them "
        "without an answer."
    ]
    if answers["bins"]:
        loss = answers["log_loss_of_right_answer"]
        lines += [
            f"Best answers by posterior search's beliefs: {_numbers(answers)}; log loss of the "
            f"right one {loss:.3f}."
        ]
        lines += _figure(answers["bins"])
    if verdicts is not None:
        siblings = verdicts["siblings"]
        accuracy = (
            "none"
            if siblings["accuracy"] is None
            else f"{siblings['accuracy']:.3f} of {siblings['pairs']} pairs"
        )
        lines += [
            f"Verdicts on {verdicts['steps']} steps, {verdicts['right']:.3f} of them right; the "
            f"right one of two siblings: {accuracy}.",
            f"At even odds: {_numbers(verdicts)}. With that share as the prior: "
            f"{_numbers(verdicts['with_prior'])}.",
            *_figure(verdicts["bins"]),
        ]
    return "\n".join(lines)


def _numbers(curve: Mapping[str, Any]) -> str:
    return (
        f"expected calibration error {curve['expected_calibration_error']:.3f}, Brier score "
        f"{curve['brier_score']:.3f}, log loss {curve['log_loss']:.3f}"
    )


def _figure(bins: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yields one line per bin, with a bar for the share of right ones; "|" marks the
    mean belief.
    """
    yield f"  believed          of  mean   right [95 %]           0{'1':>{_BAR + 1}}"
    for one in bins:
        bar = ["█" if (place + 0.5) / _BAR <= one["value"] else " " for place in range(_BAR)]
        bar[min(int(one["believed"] * _BAR), _BAR - 1)] = "|"
        low, high = one["interval"]
        share = f"{one['value']:.3f} [{low:.3f}, {high:.3f}]"
        yield (
            f"  {one['from']:.1f} to {one['to']:.1f} {one['of']:>9}  {one['believed']:.3f}  "
            f"{share}   {''.join(bar)}"
        ).rstrip()


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m graphs.calibration", description="Calibration curves of a run.")
    parser.add_argument("run", type=Path, help="name or directory of a run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    folder = run_folder(arguments.run)
    config, thoughts, left_out = asyncio.run(read_checked(folder))
    reader = Reader(config, split_overrides(arguments))
    if left_out:
        console.print(f"left out: {format_left_out(left_out)}", style="yellow", markup=False)
    rows = report(thoughts, reader)
    print(
        json.dumps(rows, allow_nan=False)
        if arguments.json
        else "\n\n".join(text(row) for row in rows)
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
