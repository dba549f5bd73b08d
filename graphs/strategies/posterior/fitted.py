"""A conditional logit model of which answer is right, fitted on validation questions:
the fallback of posterior search.

The sum-product pass (graphs/strategies/posterior/belief.py) takes verdicts to be
independent given the truth. A critic that misreads a question misreads it in every
sample, so the pass overestimates the evidence of agreement and verdicts together. This
model ignores where evidence comes from. It weighs features of each answer by how well
they separated right from wrong answers on the validation questions:

    P(answer a) = exp(w . x_a) / sum of exp(w . x_b)

    where b are the answers in the tree, and "none of them"

The features of an answer are the number of its samples and three log-scores of its best
path; "none of them" is one more alternative, with a utility of its own. The
log-likelihood is concave and, with a Gaussian prior on the weights, has one maximum,
which Newton's method finds.

Where a question may have several right answers, each answer is compared with "none of
them" alone.

Source: McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agents.files import write_text
from graphs.tree import ReasoningTree

Floats = NDArray[np.float64]

FEATURES = ("frequency", "summed_verdict", "last_verdict", "logprob", "none")
"""Features of an alternative, `F` in number:

- frequency: log of the number of samples with the answer. The log of their share is
  equivalent, because a constant for all alternatives cancels. "None of them" counts as
  one sample.
- summed_verdict, last_verdict: log sigma(log-likelihood ratio) along the answer's best
  path, summed, and of its last step, in nats; log 1/2 for an unjudged step, 0 in a tree
  without verdicts. The best path is the one with the largest sum, then the largest of
  the next features.
- logprob: the policy's log-probability of that path, in nats.
- none: 1 for "none of them", whose other features are 0."""

_MOST_STEPS = 100  # of Newton's method; from 0 it takes about 8
_CONVERGED = 1e-8  # largest component of the gradient, per question


class LogitExample(NamedTuple):
    """One choice between `A` answers and "none of them", which is the last row."""

    features: Floats
    """[A + 1, F]."""
    target: Floats
    """Probability that each alternative is the right one, [A + 1]; sums to 1, equal for
    several forms of the right answer."""


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """The fitted weights, and what they were fitted on."""

    weights: tuple[float, ...]
    """[F], in the order of `FEATURES`."""
    many_answers: bool = False
    """Whether a question may have several right answers, which then do not exclude each
    other."""
    fitted_on: tuple[str, ...] = ()
    """Names of the runs that it was fitted on."""
    questions: int = 0
    """Number of questions with an answer in those runs."""
    canonical: Callable[[str], str] = field(default=str.strip, repr=False, compare=False)
    """Maps an answer to the form by which answers are compared."""

    def infer(self, tree: ReasoningTree) -> dict[str, float]:
        """Returns the probability that each answer is right, in canonical form, in the
        order of the leaves; the sum is below 1 unless `many_answers`.
        """
        answers, features = read_answers(tree, self.canonical)
        utility = features @ np.array(self.weights)
        if self.many_answers:
            log_probability = -np.logaddexp(0.0, utility[-1] - utility[:-1])
        else:
            log_probability = utility[:-1] - np.logaddexp.reduce(utility)
        return dict(zip(answers, map(float, np.exp(log_probability)), strict=True))

    @classmethod
    def fit(
        cls,
        questions: Sequence[Sequence[LogitExample]],
        *,
        many_answers: bool = False,
        ridge: float = 1.0,
        fitted_on: Sequence[str] = (),
    ) -> Self:
        """Returns the model with the maximum a posteriori weights.

        Args:
            questions: `choices` of each question's tree, with the same `many_answers`;
                empty for a question without an answer.
            ridge: precision of the Gaussian prior on the weights, whose mean is 0.
            fitted_on: names of the runs that the questions come from, stored in the
                model.

        Raises:
            ValueError: no question has an answer, or `ridge` is not above 0.
        """
        examples = [choice for one in questions for choice in one]
        if not examples:
            raise ValueError(
                "no question has an answer, so there is nothing to fit a selector on; give runs in "
                "which some answers were found"
            )
        weights = tuple(map(float, fit_weights(examples, ridge=ridge)))
        return cls(weights, many_answers, tuple(fitted_on), sum(bool(one) for one in questions))

    def save(self, path: Path) -> None:
        """Writes the model as JSON; `load` reads it."""
        stored = {
            "features": FEATURES,
            "weights": self.weights,
            "many_answers": self.many_answers,
            "fitted_on": {"runs": self.fitted_on, "questions": self.questions},
        }
        text = json.dumps(stored, indent=2, allow_nan=False) + "\n"
        write_text(path, text, elsewhere="name another file with --out")

    @classmethod
    def load(cls, path: Path, *, canonical: Callable[[str], str] = str.strip) -> Self:
        """Reads a model.

        Raises:
            ValueError: the file holds no fitted model, or one with other features.
        """
        try:
            stored = json.loads(path.read_text())
            if tuple(stored["features"]) != FEATURES or len(stored["weights"]) != len(FEATURES):
                raise ValueError(f"it must have a weight for each of {', '.join(FEATURES)}")
            weights = tuple(float(weight) for weight in stored["weights"])
            if not all(map(math.isfinite, weights)):
                raise ValueError(f"its weights must be finite and are {weights}")
            fitted_on = stored["fitted_on"]
            return cls(
                weights,
                bool(stored["many_answers"]),
                tuple(fitted_on["runs"]),
                int(fitted_on["questions"]),
                canonical,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"search.selector_model ({path}) holds no fitted selector ({error}); fit one: "
                "python -m graphs.fit_selector, or set null"
            ) from error


def read_answers(tree: ReasoningTree, canonical: Callable[[str], str]) -> tuple[list[str], Floats]:
    """Returns the distinct answers of a tree, in the order of its leaves, and the
    features of each and of "none of them", [A + 1, F].
    """
    counts: dict[str, int] = {}
    best: dict[str, tuple[float, float, float]] = {}
    for leaf in tree.answer_leaves():
        answer, path = canonical(tree.step(leaf).answer or ""), tree.path(leaf)
        log_right = (
            -np.logaddexp(0.0, -tree.log_likelihood_ratio[path])
            if tree.is_judged
            else np.zeros(len(path))
        )
        shown = float(log_right.sum()), float(log_right[-1]), float(tree.logprob[path].sum())
        counts[answer] = counts.get(answer, 0) + int(tree.count[leaf])
        best[answer] = max(best.get(answer, shown), shown)
    rows = [(math.log(count), *best[answer], 0.0) for answer, count in counts.items()]
    return list(counts), np.array([*rows, (0.0, 0.0, 0.0, 0.0, 1.0)])


def choices(
    tree: ReasoningTree,
    right: Mapping[str, bool],
    *,
    canonical: Callable[[str], str] = str.strip,
    many_answers: bool = False,
) -> list[LogitExample]:
    """Returns the examples of one tree: one choice between all answers or, with
    `many_answers`, one per answer; empty without an answer.
    """
    answers, features = read_answers(tree, canonical)
    is_right = np.array([right[answer] for answer in answers], np.float64)
    if not answers:
        return []
    if many_answers:
        return [
            LogitExample(features[[row, -1]], np.array([truth, 1.0 - truth]))
            for row, truth in enumerate(is_right)
        ]
    target = np.append(is_right, 0.0 if is_right.any() else 1.0)
    return [LogitExample(features, target / target.sum())]


def fit_weights(examples: Sequence[LogitExample], *, ridge: float = 1.0) -> Floats:
    """Returns the maximum a posteriori weights, [F], by Newton's method; a step is
    halved until the objective rises.

    Raises:
        ValueError: `ridge` is not above 0; without a prior, separable examples have no
            maximum.
    """
    if ridge <= 0:
        raise ValueError(
            f"ridge ({ridge}) must be above 0, because without a prior the weights of separable "
            "examples grow without bound; set 1"
        )
    weights = np.zeros(examples[0].features.shape[1])
    value, gradient, hessian = _objective(weights, examples, ridge)
    for _ in range(_MOST_STEPS):
        if np.abs(gradient).max() <= _CONVERGED * len(examples):
            break
        direction = np.linalg.solve(hessian, -gradient)
        size = 1.0
        while (ahead := _objective(weights + size * direction, examples, ridge))[
            0
        ] < value and size > 1e-9:
            size /= 2
        weights = weights + size * direction
        value, gradient, hessian = ahead
    return weights


def _objective(
    weights: Floats, examples: Sequence[LogitExample], ridge: float
) -> tuple[float, Floats, Floats]:
    """Returns log-likelihood plus log-prior (up to a constant), its gradient [F] and
    its Hessian [F, F], which is negative definite.
    """
    value = -0.5 * ridge * float(weights @ weights)
    gradient: Floats = -ridge * weights
    hessian: Floats = -ridge * np.eye(len(weights))
    for features, target in examples:
        utility = features @ weights
        log_probability = utility - np.logaddexp.reduce(utility)
        probability = np.exp(log_probability)
        centred = features - probability @ features
        value += float(target @ log_probability)
        gradient += (target - probability) @ features
        hessian -= (centred * probability[:, None]).T @ centred
    return value, gradient, hessian
