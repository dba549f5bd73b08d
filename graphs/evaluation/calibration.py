"""How far beliefs and verdicts of a stored run can be believed: calibration curves, by
question family.

    python -m graphs.calibration RUN [search.evidence_weight=0.5]
        [search.selector_model=FILE] [--json]

*Answers.* What a posterior search believes of each finished tree, derived again from
its events: in the best answer, and whether that is right. A run with search=posterior
is read under its own assumptions, any other as search=posterior would read it, but with
a `abort_rate` of 0, for its samples may go through the policy's doubts; words change
them. So the trees of one run show what other assumptions would have been worth. A
question that came to no answer has no belief; it is counted.

*Verdicts.* Where an exact checker of steps exists: the critic's sigma(log-likelihood
ratio) on the policy's own steps, and whether they are right. That is the probability at
even odds; where 9 steps in 10 are right, a verdict that is worth what it says is right
more often than that. So its errors are also told with the family's share of right steps
as the prior, which is how evidence is used. *Siblings*: of two judged continuations of
one path without a mistake, one right and one wrong, how often the right one has the
larger number (a tie is half). A critic may tell easy questions from hard ones and no
step from its sibling, and the second is what a search asks of it.

Brier score and log loss are those of the event on the axis: the best answer, or the
step, is right. The log loss of the right answer is what
`graphs.evaluation.fit_selector` minimises: - log of the belief in it, or in none of
them.

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
_LEAST = 1e-6  # no belief costs more than - log of this, in nats
_BAR = 20  # characters


class Bin(NamedTuple):
    """Beliefs in [low, high), and what came of them; the last bin holds 1 as well."""

    low: float
    high: float
    believed: float
    """Mean belief."""
    right: Proportion


class Reliability(NamedTuple):
    """How beliefs in an event compare with its frequency. All NaN of nothing."""

    bins: tuple[Bin, ...]
    """Those with anything in them, in order."""
    expected_calibration_error: float
    """Mean over beliefs of |mean belief - frequency| in their bin, in [0, 1]."""
    brier_score: float
    """Mean squared difference between belief and truth, in [0, 1]; 0.25 for a belief of
    1/2 in everything."""
    log_loss: float
    """Mean - log of the belief in what is true, in nats; 0.69 for a belief of 1/2 in
    everything."""


class Verdicts(NamedTuple):
    """Verdicts on the steps of one question."""

    family: str
    evidence: list[float]
    """Log-likelihood ratios, in nats, one per judged step."""
    right: list[bool]
    siblings: SiblingPairs


def reliability(believed: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Returns the calibration of beliefs in [0, 1] in events that came `right`, or
    not.
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
    in_truth = np.maximum(np.where(truth, p, 1.0 - p), _LEAST)
    return Reliability(
        bins, error, float(((p - truth) ** 2).mean()), float(-np.log(in_truth).mean()) + 0.0
    )


def log_loss(
    answers: Mapping[str, float], right: Mapping[str, bool], *, many_answers: bool = False
) -> float:
    """Returns - log of the belief in what is true of a question's answers, in nats; 0
    where there are none.

    Rivals: the belief in the right one, or in none of them. Of several answers that may
    all be right: the mean over them of the belief in each one's being right, or not.
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
    """What a posterior search believes of trees."""

    options: PosteriorConfig
    """Its assumptions."""

    def __init__(self, config: RunConfig, words: Sequence[str] = ()) -> None:
        """Reads as the run of `config` does, where it is a posterior search, else by
        the schema's assumptions; `words` change them.

        Raises:
            ConfigError: a word was refused.
            ValueError: a word is no option of the search.
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
        """Returns the search whose beliefs these are; answers are compared in the
        canonical form of `task`.
        """
        if task not in self._searches:
            search = build_strategy(self._config, partial(canonical, task=task))
            assert isinstance(search, Posterior)
            self._searches[task] = search
        return self._searches[task]

    def infer(self, tree: ReasoningTree) -> dict[str, float]:
        """Returns the probability that each answer in `tree` is right, by its canonical
        form.
        """
        return self.search(tree.question.task).infer(tree).answers


def read_verdicts(thought: CheckedThought) -> Verdicts | None:
    """Returns the verdicts on a thought's steps and the truth about them; None where
    that is not known.
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
    """Returns one row per family, the row "all" first where there are several."""
    beliefs = [reader.infer(thought.tree) for thought in thoughts]
    verdicts = [
        one for thought in thoughts if (one := read_verdicts(thought)) is not None and one.evidence
    ]
    told_of: defaultdict[str, list[Verdicts]] = defaultdict(list)
    for one in verdicts:
        told_of[one.family].append(one)
    members: defaultdict[str, list[int]] = defaultdict(list)
    for number, thought in enumerate(thoughts):
        members[thought.family].append(number)
    rows = []
    for family in ["all", *sorted(members)] if len(members) > 1 else sorted(members):
        numbers = range(len(thoughts)) if family == "all" else members[family]
        own = verdicts if family == "all" else told_of[family]
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
    """Returns what verdicts are worth; None without one whose truth is known. The prior
    is each family's own, also over all families.
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
    with np.errstate(divide="ignore"):  # a family without a wrong step is sure of every step
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
    """Yields the bins, each with a bar as long as its share of right ones; "|" stands
    at the mean belief.
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
