"""Fits the calibration of any critic on a run over validation questions, and measures
whether the critic separates right steps from wrong ones.

Labels. If the question's family has an exact checker of steps, a step is labelled by
it. Otherwise the outcomes label it: a step that lies on k samples counts as right as
often as these samples end at a right answer, and as wrong for the others (a Monte-Carlo
estimate with the samples at hand).

Measures. AUC *within questions*: of pairs of judged steps of one question, one right
and one wrong, the share in which the right one has the higher score (a tie is half). A
search compares steps of one question, so a critic that only recognises hard questions
scores 1/2. Its 95 % interval is a bootstrap over questions. The *log loss* is held out:
folds of questions, both classes with equal weight; a constant has log 2. Controls with
the same examples: the step's length, and the critic's scores shuffled within the
question.

A critic whose interval includes 1/2 gets the slope 0: its verdicts are no evidence,
and a search with it is the search without a critic.

The prior, the share of right steps, is exact with labelled steps. With outcomes it is
the n-th root of the share of right answers for thoughts of n steps, as if each step
were right with the same probability.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from agents.critics.calibration import PlattScaling
from agents.types import BadDataError
from graphs.evaluation.platt import fit_platt
from graphs.traces.checked import CheckedThought
from graphs.tree import ReasoningTree

LabelSource = Literal["steps", "outcomes"]

MIN_OF_FAMILY = 50
"""Least number of right and of wrong examples for a scaling of a family."""
_FOLDS = 5
_RESAMPLES = 2000
_RIDGE = 1e-2
_CLIP = 1e-4

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """A judged step with its label."""

    question: str
    """Hash of the question."""
    family: str
    score: float
    """The critic's probability, in [0, 1]."""
    length: int
    """Tokens of the step."""
    right: float
    """Number of observations of "right"."""
    wrong: float


class Auc(NamedTuple):
    """Share of pairs that a score orders correctly, within questions."""

    value: float
    """In [0, 1]; NaN without pairs."""
    low: float
    high: float
    """The 95 % bootstrap interval."""
    questions: int
    """Questions with both labels."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Fit(NamedTuple):
    """A fitted calibration with its measures."""

    scaling: PlattScaling
    auc: Auc
    length_auc: Auc
    shuffled_auc: Auc
    log_loss: float
    """Held-out, in nats; log 2 is a constant."""
    length_log_loss: float
    num_right: float
    num_wrong: float
    labels: LabelSource

    @property
    def is_informative(self) -> bool:
        """Whether the interval of the AUC lies above 1/2."""
        return self.auc.low > 0.5

    def line(self) -> dict[str, Any]:
        """Returns the entry of the calibration file."""
        return {
            "a": _rounded(self.scaling.slope),
            "b": _rounded(self.scaling.intercept),
            "prior": _rounded(self.scaling.prior),
            "auc": [_rounded(value) for value in self.auc[:3]],
            "length_auc": [_rounded(value) for value in self.length_auc[:3]],
            "shuffled_auc": [_rounded(value) for value in self.shuffled_auc[:3]],
            "log_loss": _rounded(self.log_loss),
            "length_log_loss": _rounded(self.length_log_loss),
            "num_right": self.num_right,
            "num_wrong": self.num_wrong,
            "labels": self.labels,
        }


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def examples_of(thoughts: Sequence[CheckedThought], labels: LabelSource) -> list[Example]:
    """Returns one example per judged step of the thoughts."""
    return [
        example
        for thought in thoughts
        for example in (_by_steps(thought) if labels == "steps" else _by_outcomes(thought))
    ]


def labels_of(thoughts: Sequence[CheckedThought]) -> LabelSource:
    """Returns "steps" if every question has an exact checker of steps."""
    return "steps" if all(thought.problem is not None for thought in thoughts) else "outcomes"


def _by_steps(thought: CheckedThought) -> Iterator[Example]:
    truth = thought.truth()
    assert truth is not None
    for node, score in _scores(thought.tree):
        right = float(truth.right[node])
        yield _example(thought, node, score, right, 1.0 - right)


def _by_outcomes(thought: CheckedThought) -> Iterator[Example]:
    tree = thought.tree
    right, ended = np.zeros(len(tree)), np.zeros(len(tree))
    for end in tree.ends:
        answer = tree.step(end).answer if end else None
        if not (answer and tree.answered[end]):
            continue
        nodes = tree.path(end)
        ended[nodes] += 1
        right[nodes] += thought.right[canonical(answer, thought.question.task)]
    for node, score in _scores(tree):
        if ended[node]:
            yield _example(thought, node, score, right[node], ended[node] - right[node])


def _scores(tree: ReasoningTree) -> Iterator[tuple[int, float]]:
    for node in np.flatnonzero(tree.judged).tolist():
        scores = [one.score for one in tree.verdicts[node] if one.outcome == "judged"]
        yield node, sum(scores) / len(scores)


def _example(
    thought: CheckedThought, node: int, score: float, right: float, wrong: float
) -> Example:
    return Example(
        thought.question.hash, thought.family, score, int(thought.tree.tokens[node]), right, wrong
    )


def steps_per_thought(thoughts: Sequence[CheckedThought]) -> float:
    """Returns the mean number of steps of a sample, at least 1."""
    depths = [int(thought.tree.depth[end]) for thought in thoughts for end in thought.tree.ends]
    return max(sum(depths) / len(depths), 1.0) if depths else 1.0


def fit_calibration(
    examples: Sequence[Example],
    *,
    labels: LabelSource,
    steps: float = 1.0,
    seed: int = 0,
    force: bool = False,
) -> Fit:
    """Returns the calibration of a critic, with its measures.

    Args:
        steps: mean number of steps of a thought; for the prior from outcomes.
        seed: of the folds, the bootstrap and the shuffled control.
        force: keep the fitted line of a critic whose AUC may be 1/2.

    Raises:
        BadDataError: the examples do not hold both labels.
    """
    num_right = sum(example.right for example in examples)
    num_wrong = sum(example.wrong for example in examples)
    if not num_right or not num_wrong:
        raise BadDataError(
            f"a calibration needs right and wrong steps, and the run has {num_right:g} and "
            f"{num_wrong:g}; ask more questions (task.limit) or sample more (--samples)"
        )
    rng = np.random.default_rng(seed)
    logits = _logits([example.score for example in examples])
    lengths = -np.log1p(np.array([example.length for example in examples], np.float64))
    auc = _auc(examples, logits, rng)
    share = num_right / (num_right + num_wrong)
    scaling = PlattScaling(0.0, 0.0)
    if auc.low > 0.5 or force:
        scaling = PlattScaling(*_line(examples, logits))
    return Fit(
        PlattScaling(
            scaling.slope,
            scaling.intercept,
            prior=share if labels == "steps" else share ** (1.0 / steps),
        ),
        auc,
        _auc(examples, lengths, rng),
        _auc(examples, _shuffled(examples, logits, rng), rng),
        _held_out_log_loss(examples, logits, rng),
        _held_out_log_loss(examples, lengths, rng),
        num_right,
        num_wrong,
        labels,
    )


def fit_families(
    examples: Sequence[Example], fit: Callable[[Sequence[Example]], Fit], families: Sequence[str]
) -> dict[str, Fit]:
    """Returns the fit of all examples as "*", and one for each of `families` with
    enough examples.
    """
    fits = {}
    for family in families:
        own = [example for example in examples if example.family == family]
        enough = (sum(one.right for one in own), sum(one.wrong for one in own))
        if min(enough) >= MIN_OF_FAMILY:
            fits[family] = fit(own)
    return fits | {"*": fit(examples)}


def _logits(scores: Sequence[float]) -> Floats:
    p = np.clip(np.array(scores, np.float64), _CLIP, 1.0 - _CLIP)
    logits: Floats = np.log(p) - np.log1p(-p)
    return logits


def _line(examples: Sequence[Example], x: Floats) -> tuple[float, float]:
    """Returns the slope, at least 0, and the intercept of the fit."""
    values = np.concatenate([x, x])
    rights = [True] * len(examples) + [False] * len(examples)
    weights = [one.right for one in examples] + [one.wrong for one in examples]
    a, b = fit_platt(values.tolist(), rights, weights=weights, ridge=_RIDGE, slope=0.0)
    return (a, b) if a > 0 else (0.0, 0.0)


def _auc(examples: Sequence[Example], x: Floats, rng: np.random.Generator) -> Auc:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, example in enumerate(examples):
        rows[example.question].append(row)
    wins, pairs = [], []
    for own in rows.values():
        right = np.array([examples[row].right for row in own])
        wrong = np.array([examples[row].wrong for row in own])
        order = x[own][:, None] - x[own][None, :]
        weight = right[:, None] * wrong[None, :]
        np.fill_diagonal(weight, 0.0)
        if weight.sum() > 0:
            pairs.append(float(weight.sum()))
            wins.append(float((weight * np.where(order > 0, 1.0, 0.5 * (order == 0))).sum()))
    if not pairs:
        return Auc(math.nan, 0.0, 1.0, 0)
    won, of = np.array(wins), np.array(pairs)
    draws = rng.integers(len(of), size=(_RESAMPLES, len(of)))
    resampled = won[draws].sum(axis=1) / of[draws].sum(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    if len(of) < 2:  # one question has no spread
        low, high = 0.0, 1.0
    return Auc(float(won.sum() / of.sum()), float(low), float(high), len(of))


def _shuffled(examples: Sequence[Example], x: Floats, rng: np.random.Generator) -> Floats:
    """Returns the values shuffled among the steps of each question."""
    shuffled = x.copy()
    questions = np.array([example.question for example in examples])
    for question in dict.fromkeys(questions.tolist()):
        own = np.flatnonzero(questions == question)
        shuffled[own] = x[rng.permutation(own)]
    return shuffled


def _held_out_log_loss(examples: Sequence[Example], x: Floats, rng: np.random.Generator) -> float:
    """Returns the mean log loss in nats, both classes with equal weight; NaN where a
    fold leaves one class without examples.
    """
    questions = list(dict.fromkeys(example.question for example in examples))
    folds = dict(
        zip(questions, rng.permutation(len(questions)) % min(_FOLDS, len(questions)), strict=True)
    )
    fold = np.array([folds[example.question] for example in examples])
    loss = {True: 0.0, False: 0.0}
    total = {True: 0.0, False: 0.0}
    for number in range(min(_FOLDS, len(questions))):
        kept = [one for one, own in zip(examples, fold, strict=True) if own != number]
        if not (sum(one.right for one in kept) and sum(one.wrong for one in kept)):
            return math.nan
        a, b = _line(kept, x[fold != number])
        for row in np.flatnonzero(fold == number):
            for is_right, weight in ((True, examples[row].right), (False, examples[row].wrong)):
                llr = a * x[row] + b
                loss[is_right] += weight * float(np.logaddexp(0.0, -llr if is_right else llr))
                total[is_right] += weight
    return sum(loss[label] / total[label] for label in (True, False)) / 2


def text(fits: Mapping[str, Fit], kind: str) -> str:
    """Returns the fits in words, one paragraph for each."""
    return "\n\n".join(_paragraph(name, fit, kind) for name, fit in fits.items())


def _paragraph(name: str, fit: Fit, kind: str) -> str:
    family = "all questions" if name == "*" else name
    lines = [
        f"critic={kind}, {family}: {fit.num_right:g} right and {fit.num_wrong:g} wrong "
        f"observations of steps, labelled by {fit.labels}; {fit.auc.questions} questions have "
        "both.",
        f"AUC within questions {fit.auc}; controls: length {fit.length_auc}, shuffled scores "
        f"{fit.shuffled_auc}, constant 0.500.",
        f"Held-out log loss {fit.log_loss:.3f} nats; length {fit.length_log_loss:.3f}, constant "
        f"{math.log(2):.3f}.",
    ]
    if fit.is_informative:
        lines.append(
            f"log-likelihood ratio = {fit.scaling.slope:.3f} x logit(score) "
            f"{fit.scaling.intercept:+.3f}; share of right steps {fit.scaling.prior:.3f}: a step "
            f"is wrong below {fit.scaling.wrong_below(0.5):+.2f} nats."
        )
    elif fit.scaling.slope == 0.0:
        lines.append(
            "The interval includes 0.5: these questions do not show that the critic separates "
            "right from wrong. Its verdicts get no weight, so a search with this calibration "
            "gives the results of no critic."
        )
    else:
        lines.append("The interval includes 0.5; the line is kept because of --force.")
    return "\n".join(lines)
