"""What votes, best-of-N and coverage come to with k samples of a stored pool: exact expectations over the subsets, where there are any.

A vote has no closed form for more than two answers, so `graphs.scaling.vote_at_k` draws subsets; coverage and best-of-N are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from graphs.comparison.choices import Ranking
from graphs.comparison.truth import Truth
from graphs.scaling import Pool, pass_at_k, vote_at_k
from graphs.tree import ROOT, ReasoningTree

DRAWS = 200
"""Subsets per question and k; their error is far below that of having so many questions and no more."""


def pool_of(tree: ReasoningTree, truth: Truth, log_weights: NDArray[np.float64] | None = None) -> Pool:
    """Returns the samples of a pool, each weighing exp of its leaf's log-weight ([N], nats), or all the same.

    The last entry holds the samples that came to no answer: they are counted and have no vote.
    """
    leaves = tree.finals()
    forms = [canonical(tree.step(leaf).answer or "", tree.question.task) for leaf in leaves]
    numbers = {form: number for number, form in enumerate(dict.fromkeys(forms))}
    counts = tree.count[leaves].tolist()
    logs = np.zeros(len(leaves)) if log_weights is None else log_weights[leaves]
    return Pool(
        counts=np.array([*counts, int(tree.samples[ROOT]) - sum(counts)], np.int64),
        answers=np.array([*(numbers[form] for form in forms), -1], np.int64),
        right=np.array([*truth.answered[leaves].tolist(), False], bool),
        weights=np.array([*np.exp(logs - logs.max(initial=-math.inf)).tolist(), 0.0]),
    )


def log_weights(tree: ReasoningTree, ranking: Ranking) -> NDArray[np.float64]:
    """Returns what a leaf's vote weighs by its verdicts, [N], in nats."""
    return ranking.selector.scores(tree)


def path_logprobs(tree: ReasoningTree) -> NDArray[np.float64]:
    """Returns the policy's log-probability of the path to each node, [N], in nats: the weights of the log-probability vote."""
    return tree.along_paths(tree.logprob, np.add)


def votes(pool: Pool, ks: Sequence[int], rng: np.random.Generator) -> list[float]:
    """Returns the chance that a vote among k samples elects a right answer, for each of `ks`."""
    return [vote_at_k(pool, k, rng=rng, draws=DRAWS).value for k in ks]


def best_of(pool: Pool, ks: Sequence[int]) -> list[float]:
    """Returns the chance that the answer of the weightiest of k samples is right, for each of `ks`; of equals any, with equal chance.

    With m samples that weigh more than a group of c equal ones, the best is in the group with chance (C(n-m, k) - C(n-m-c, k)) / C(n, k).
    """
    answered = [index for index in range(len(pool.counts)) if pool.answers[index] >= 0]
    n = int(pool.counts.sum())
    groups: dict[float, list[int]] = {}
    for index in sorted(answered, key=lambda index: -pool.weights[index]):
        groups.setdefault(float(pool.weights[index]), []).append(index)
    chances = []
    for k in ks:
        chance, better = 0.0, 0
        for members in groups.values():
            of = int(pool.counts[members].sum())
            right = int(pool.counts[[index for index in members if pool.right[index]]].sum())
            is_best = (math.comb(n - better, k) - math.comb(n - better - of, k)) / math.comb(n, k)
            chance += is_best * right / of
            better += of
        chances.append(chance)
    return chances


def coverage(tree: ReasoningTree, among: NDArray[np.bool_], ks: Sequence[int]) -> list[float]:
    """Returns the chance that k samples hold one that ends in a node of `among`, [N], for each of `ks`."""
    leaves = tree.finals()
    right, n = int(tree.count[[leaf for leaf in leaves if among[leaf]]].sum()), int(tree.samples[ROOT])
    return [pass_at_k(n, right, k) for k in ks]
