"""Accuracy of votes, best-of-N and coverage with k samples of a stored pool, as
expectations over the subsets of size k.

A vote has no closed form for more than two answers, so
`graphs.evaluation.scaling.vote_at_k` draws subsets; coverage and best-of-N are exact.
Measures that depend on the order of events use the first k samples. Other critics judge
the same samples again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.critics import Critic
from agents.types import Budget, Meter, Question
from graphs.evaluation.scaling import Pool, pass_at_k, vote_at_k
from graphs.evaluation.search_comparison.choices import Ranking
from graphs.tree import ROOT, Event, Expanded, Judged, ReasoningTree

DRAWS = 200
"""Subsets per question and k; their sampling error is far below that of the number of
questions."""


def log_weights(tree: ReasoningTree, ranking: Ranking) -> NDArray[np.float64]:
    """Returns the log weight of each node in a weighted vote, [N], in nats."""
    return ranking.selector.scores(tree)


def path_logprobs(tree: ReasoningTree) -> NDArray[np.float64]:
    """Returns the policy's log-probability of the path to each node, [N], in nats: the
    weights of the log-probability vote.
    """
    return tree.along_paths(tree.logprob, np.add)


def votes(pool: Pool, ks: Sequence[int], rng: np.random.Generator) -> list[float]:
    """Returns the probability that a vote among k samples elects a right answer, for
    each k in `ks`.
    """
    return [vote_at_k(pool, k, rng=rng, draws=DRAWS).value for k in ks]


def best_of(pool: Pool, ks: Sequence[int]) -> list[float]:
    """Returns the probability that the sample with the highest weight of k samples is
    right, for each k in `ks`; ties are broken uniformly.

    With m samples heavier than a group of c samples of equal weight, the best sample is
    in the group with probability (C(n-m, k) - C(n-m-c, k)) / C(n, k).
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
    """Returns the probability that some of k samples ends at a node of `among`, [N],
    for each k in `ks`.
    """
    leaves = tree.answer_leaves()
    right, n = (
        int(tree.count[[leaf for leaf in leaves if among[leaf]]].sum()),
        int(tree.samples[ROOT]),
    )
    return [pass_at_k(n, right, k) for k in ks]


def first_samples(events: Iterable[Event], k: int) -> list[Event]:
    """Returns the events of the first `k` samples of a pool, with the verdicts on their
    steps.

    All samples of a pool start at the question, so the nodes of the first samples come
    first and keep their numbers.
    """
    kept: list[Event] = []
    size, left = 1, k
    nodes: dict[tuple[int, tuple[int, ...], str], int] = {}
    for event in events:
        if isinstance(event, Expanded):
            chains = event.chains[:left]
            left -= len(chains)
            if chains:
                kept.append(Expanded(event.parent, chains, event.horizon, event.mistakes))
            for chain in chains:
                node = event.parent
                for step in chain:
                    key = node, step.content.reveal().token_ids, step.finish_reason
                    if key not in nodes:
                        nodes[key], size = size, size + 1
                    node = nodes[key]
        elif isinstance(event, Judged) and event.node < size:
            kept.append(event)
    return kept


async def rejudged(question: Question, events: Sequence[Event], critic: Critic) -> ReasoningTree:
    """Returns the tree of the same samples with the verdicts of another critic, which
    needs no model.
    """
    tree = ReasoningTree.replay(
        question, (event for event in events if isinstance(event, Expanded))
    )
    meter = Meter(Budget())
    for node in range(1, len(tree)):
        if tree.step(node).finish_reason == "stop":
            verdict = await critic.judge(question, tree.path_steps(node), meter=meter)
            if verdict is not None:
                tree.apply([Judged(node, verdict)])
    return tree
