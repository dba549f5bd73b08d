"""Reads finished cells: accuracy and cost of each question, by method, budget and
critic.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from agents.critics import Critic, LengthCritic, LogprobCritic, OracleCritic, RandomCritic
from agents.types import BadDataError, VerdictScope
from configs.schema import SearchComparisonConfig
from graphs.evaluation.scaling import pool_of
from graphs.evaluation.search_comparison.cells import NO_CRITIC, oracle_name
from graphs.evaluation.search_comparison.choices import Ranking, SelectedSampling
from graphs.evaluation.search_comparison.cost import Cost, cost_of, pool_costs
from graphs.evaluation.search_comparison.labels import LabelCritic, Labelled
from graphs.evaluation.search_comparison.loss_attribution import CAUSES, Cause, attribute
from graphs.evaluation.search_comparison.pools import (
    best_of,
    coverage,
    first_samples,
    log_weights,
    path_logprobs,
    rejudged,
    votes,
)
from graphs.evaluation.siblings import SiblingPairs, sibling_pairs
from graphs.strategies.selection import Selector
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree

Floats = NDArray[np.float64]

DERIVATION, COVERAGE = "derivation", "coverage"
"""Probability that some sample is right with its whole derivation, and that the answer
of some sample is right."""
# x budget: number of samples that the noise sweep judges again per question
_SWEEP_SAMPLES = 4


class Key(NamedTuple):
    """A measured method, with its budget and critic."""

    method: str
    n: int
    critic: str


class QuestionResult(NamedTuple):
    """Result of one method on one question; a mean over seeds or subsamples."""

    correct: float
    """In [0, 1]: whether the given answer is right."""
    checked: float
    """In [0, 1]: whether any answer in the tree is right; a self-verifying family can
    detect that at no cost."""
    flops: float
    generated_tokens: float


@dataclass
class Measured:
    """Results of the cells of one family, by question."""

    outcomes: dict[Key, dict[str, list[QuestionResult]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By question hash: one per seed."""
    siblings: dict[str, dict[str, SiblingPairs]] = field(default_factory=lambda: defaultdict(dict))
    """By critic and question hash, on the samples of the pool."""
    causes: dict[Key, dict[str, list[Cause]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By question hash: one per seed."""

    def is_whole(self, key: Key) -> bool:
        """Whether a method was run on all questions: on at least nine tenths of the
        most of any method, since single questions may fail.
        """
        return len(self.outcomes[key]) >= 0.9 * max(map(len, self.outcomes.values()))


def of_model(method: str, model: str) -> str:
    """Returns the name of a method of another model; of the model under comparison if
    `model` is empty.
    """
    return f"{model} {method}" if model else method


def add_search(
    measured: Measured, thoughts: Sequence[Labelled], key: Key, *, attributed: bool
) -> None:
    """Adds one seed of a search; `attributed` adds the causes of its unsolved
    questions.
    """
    for trace, tree, truth, _ in thoughts:
        correct = trace.correct is True
        found = correct or bool(truth.answered.any())
        measured.outcomes[key][trace.question.hash].append(
            QuestionResult(float(correct), float(found), *cost_of(trace))
        )
        if attributed:
            measured.causes[key][trace.question.hash].append(
                attribute(tree, truth, trace.events, solved=correct)
            )


def add_plain_pool(
    measured: Measured,
    thoughts: Sequence[Labelled],
    ks: Sequence[int],
    *,
    attributed: int | None,
    model: str = "",
) -> None:
    """Adds the majority and the log-probability vote of k samples; verdicts are neither
    read nor charged. `attributed`: number of samples at which causes are added; None:
    none. `model`: name of another model, which precedes the methods' names.
    """
    for thought in thoughts:
        trace, tree, truth, _ = thought
        costs, checked = (
            pool_costs(trace, tree, ks, judged=False),
            coverage(tree, truth.answered, ks),
        )
        for method, weights in (("majority", None), ("logprob_vote", path_logprobs(tree))):
            _add(
                measured,
                of_model(method, model),
                NO_CRITIC,
                trace,
                ks,
                votes(pool_of(tree, truth.answered, weights), ks, _rng(trace)),
                checked,
                costs,
            )
        if attributed is not None:
            selectors = {of_model("majority", model): Selector("majority")}
            _book_first(measured, NO_CRITIC, thought, attributed, selectors)


def add_judged_pool(
    measured: Measured,
    thoughts: Sequence[Labelled],
    ks: Sequence[int],
    critic: str,
    sampling: SelectedSampling,
    *,
    attributed: int,
) -> None:
    """Adds the weighted vote, best-of-N and coverage of k samples, and the
    within-sibling accuracy of the critic.
    """
    for thought in thoughts:
        trace, tree, truth, _ = thought
        costs, checked = (
            pool_costs(trace, tree, ks, judged=True),
            coverage(tree, truth.answered, ks),
        )
        vote = votes(
            pool_of(tree, truth.answered, log_weights(tree, sampling.vote)), ks, _rng(trace)
        )
        best = best_of(pool_of(tree, truth.answered, log_weights(tree, sampling.best)), ks)
        for method, values in (("weighted_vote", vote), ("best_of_n", best)):
            _add(measured, method, critic, trace, ks, values, checked, costs)
        free = [Cost(0.0, 0.0)] * len(ks)
        for ceiling, among in ((DERIVATION, truth.derived), (COVERAGE, truth.answered)):
            values = coverage(tree, among, ks)
            _add(measured, ceiling, critic, trace, ks, values, values, free)
        measured.siblings[critic][trace.question.hash] = sibling_pairs(tree, truth)
        selectors = {
            "weighted_vote": sampling.vote.selector,
            "best_of_n": replace(sampling.best.selector, selection="best"),
        }
        _book_first(measured, critic, thought, attributed, selectors)


async def add_controls(
    measured: Measured, thoughts: Sequence[Labelled], comparison: SearchComparisonConfig
) -> None:
    """Adds the votes and best-of-N of critics without a model, on the samples of a
    pool: the controls and the settings of the noise sweep.

    All are ranked by the product of verdicts, because no ranking was selected for them.
    """
    n = comparison.main_budget
    for thought in thoughts:
        trace = thought.trace
        events = first_samples(trace.events, _SWEEP_SAMPLES * n)
        size = len(ReasoningTree.replay(trace.question, events))
        truth = thought.truth.first(size)
        for name, critic in _free_critics(thought, comparison.flip_rates).items():
            tree = await rejudged(trace.question, events, critic)
            measured.siblings[name][trace.question.hash] = sibling_pairs(tree, truth)
            pool = pool_of(tree, truth.answered, log_weights(tree, Ranking()))
            costs, checked = (
                pool_costs(trace, tree, [n], judged=False),
                coverage(tree, truth.answered, [n]),
            )
            for method, values in (
                ("weighted_vote", votes(pool, [n], _rng(trace))),
                ("best_of_n", best_of(pool, [n])),
            ):
                _add(measured, method, name, trace, [n], values, checked, costs)


def vote_accuracies(
    thoughts: Sequence[Labelled], n: int, rankings: Iterable[Ranking]
) -> tuple[float, dict[Ranking, float], dict[Ranking, float]]:
    """Returns accuracies at n samples of a pool: of the majority, and per ranking of
    the weighted vote and of best-of-N.
    """
    majority: list[float] = []
    vote: dict[Ranking, list[float]] = {ranking: [] for ranking in rankings}
    best: dict[Ranking, list[float]] = {ranking: [] for ranking in vote}
    for trace, tree, truth, _ in thoughts:
        majority += votes(pool_of(tree, truth.answered), [n], _rng(trace))
        for ranking in vote:
            pool = pool_of(tree, truth.answered, log_weights(tree, ranking))
            vote[ranking] += votes(pool, [n], _rng(trace))
            best[ranking] += best_of(pool, [n])
    return float(np.mean(majority)), _means(vote), _means(best)


def _means(values: Mapping[Ranking, Sequence[float]]) -> dict[Ranking, float]:
    return {ranking: float(np.mean(each)) for ranking, each in values.items()}


@dataclass(frozen=True)
class Table:
    """Results of the families of one group, for `Q` questions in the same order for all
    methods.
    """

    strata: NDArray[np.int64]
    """Number of each question's family, [Q]."""
    values: Mapping[Key, NDArray[np.float64]]
    """`QuestionResult`s of each method, mean over seeds, [Q, 4]."""
    siblings: Mapping[str, SiblingPairs]
    """By critic."""
    causes: Mapping[Key, Mapping[Cause, float]]
    """Share of questions by cause."""

    @classmethod
    def of(cls, families: Sequence[Measured], *, few: bool = False) -> Table:
        """Joins families: the methods measured on all of them, over the questions that
        all methods of a family were run on.

        A method that was run on a part of the questions is left out, unless `few`,
        which takes that part of the questions for all methods.
        """
        keys = [
            key
            for key in families[0].outcomes
            if all(key in family.outcomes for family in families)
            and (few or all(family.is_whole(key) for family in families))
        ]
        if not keys:
            raise BadDataError(
                "no cell of the comparison is finished for all families of a group; run it first"
            )
        shared = [
            sorted(set.intersection(*(set(family.outcomes[key]) for key in keys)))
            for family in families
        ]
        if not all(shared):
            raise BadDataError(
                "the cells of a family share no question; they are of different comparisons"
            )
        values = {
            key: np.array(
                [
                    np.mean(family.outcomes[key][question], axis=0)
                    for family, questions in zip(families, shared, strict=True)
                    for question in questions
                ]
            )
            for key in keys
        }
        critics = [
            critic
            for critic in families[0].siblings
            if all(critic in family.siblings for family in families)
        ]
        siblings = {
            critic: reduce(
                SiblingPairs.plus,
                (pairs for family in families for pairs in family.siblings[critic].values()),
                SiblingPairs(),
            )
            for critic in critics
        }
        attributed = [
            key for key in families[0].causes if all(key in family.causes for family in families)
        ]
        strata = np.repeat(np.arange(len(families)), [len(questions) for questions in shared])
        return cls(strata, values, siblings, {key: _shares(key, families) for key in attributed})

    def correct(self, key: Key) -> Floats:
        """Returns the accuracy on each question, [Q], in [0, 1]."""
        correct: Floats = self.values[key][:, 0]
        return correct

    def checked(self, key: Key) -> Floats:
        """Returns the accuracy with a free check of every answer in the tree, [Q], in
        [0, 1].
        """
        checked: Floats = self.values[key][:, 1]
        return checked

    def cost(self, key: Key) -> Cost:
        """Returns the mean cost of a question."""
        flops, generated_tokens = self.values[key][:, 2:].mean(axis=0).tolist()
        return Cost(flops, generated_tokens)


def _shares(key: Key, families: Sequence[Measured]) -> dict[Cause, float]:
    attributed = [
        cause for family in families for seeds in family.causes[key].values() for cause in seeds
    ]
    return {cause: attributed.count(cause) / len(attributed) for cause in CAUSES}


def _add(
    measured: Measured,
    method: str,
    critic: str,
    trace: Trace,
    ks: Sequence[int],
    correct: Sequence[float],
    checked: Sequence[float],
    costs: Sequence[Cost],
) -> None:
    for k, right, found, cost in zip(ks, correct, checked, costs, strict=True):
        measured.outcomes[Key(method, k, critic)][trace.question.hash].append(
            QuestionResult(right, found, *cost)
        )


def _book_first(
    measured: Measured,
    critic: str,
    thought: Labelled,
    n: int,
    selectors: Mapping[str, Selector],
) -> None:
    """Adds the cause of a question with the first n samples of its pool, for each
    method by its selector.
    """
    trace = thought.trace
    events = first_samples(trace.events, n)
    tree = ReasoningTree.replay(trace.question, events)
    truth = thought.truth.first(len(tree))
    for method, selector in selectors.items():
        leaf = replace(selector, canonical=partial(canonical, task=trace.question.task)).choose(
            tree, tree.answer_leaves()
        )
        solved = leaf is not None and bool(truth.answered[leaf])
        measured.causes[Key(method, n, critic)][trace.question.hash].append(
            attribute(tree, truth, events, solved=solved)
        )


def _free_critics(thought: Labelled, flip_rates: Sequence[float]) -> dict[str, Critic]:
    """Returns the critics without a model, by their names in cells."""
    scope: VerdictScope = "local" if thought.problem is None else thought.problem.scope
    critics: dict[str, Critic] = {
        "random": RandomCritic(0, lambda text: scope),
        "length": LengthCritic(lambda text: scope),
        "logprob": LogprobCritic(lambda text: scope),
    }
    return critics | {
        oracle_name(rate): OracleCritic(0, rate)
        if thought.problem is not None
        else LabelCritic.of(thought, rate)
        for rate in flip_rates
    }


def _rng(trace: Trace) -> np.random.Generator:
    """Returns a generator seeded by the question, so that results do not depend on the
    order of reading.
    """
    return np.random.default_rng(int(trace.question.hash, 16))


def sample_sizes(comparison: SearchComparisonConfig) -> list[int]:
    """Returns the subsample sizes k of a pool: powers of two, the budgets, and the
    whole pool.
    """
    samples = comparison.pool_samples
    powers = (2**power for power in range(int(math.log2(samples)) + 1))
    return sorted(
        {
            *powers,
            *(
                n
                for n in (*comparison.budgets, comparison.large_budget)
                if n is not None and n <= samples
            ),
            samples,
        }
    )
