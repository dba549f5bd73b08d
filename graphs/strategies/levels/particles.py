"""Particle filtering: thoughts drawn from the policy, conditioned on all their steps
being right.

N particles move one step per round, each a sample of the policy. A step changes a
particle's weight by what its verdict says: by sigma(llr), the chance that it is right,
where verdicts are of local scope, and by the ratio of that to the step before where
they are of value scope (each verdict then speaks for the whole path, and the weight is
the latest one); with `logprob_weight`, also by a power of the policy's probability.
When the effective sample size ESS = (sum w)^2 / sum w^2 falls below `ess_threshold` x
N, the particles are resampled systematically: good ones are multiplied, poor ones die,
and all weigh the same again. So the critic's doubt spreads the particles, where beam
search takes its word.

Finished particles stay, with their weight, and are resampled with the others, so that a
good end costs no more samples. A particle whose step was cut off or ended without an
answer, or for which a node that was closed gave no next step, has weight 0; resampling
gives its place to others.

Nothing is remembered: the population is found anew at every call by moving it through
the tree again. Particles on one node share their past, so their weight, and are told
apart by nothing; where one moved is known from how often each child was sampled. Random
numbers are drawn one per step, whether it resamples or not, so that a step draws the
same at every call.

Source: Puri et al., "A probabilistic inference approach to inference-time scaling of
LLMs" (arXiv:2502.01618), section 4.2. There particles are resampled at every step
(`ess_threshold=1`), by independent draws, and by a softmax of the reward. Systematic
resampling and the effective sample size are standard: Doucet and Johansen, "A tutorial
on particle filtering and smoothing" (2009), section 3. How an answer is chosen is ours,
see `choose`.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from configs.schema.search import ParticlesConfig
from graphs.strategies.selection import Selector
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, ReasoningTree


class Population(NamedTuple):
    """Where the particles are. Those on one node have one past, so one weight."""

    nodes: NDArray[np.int64]
    """[K]."""
    particles: NDArray[np.int64]
    """How many stand on each node, [K]; N in all, but for those whose weight is 0."""
    log_weight: NDArray[np.float64]
    """Weight of each particle on a node since the last resampling, in nats, [K]."""


@dataclass(frozen=True)
class Particles(Stepwise):
    """See the module."""

    config: ParticlesConfig

    @cached_property
    def selector(self) -> Selector:
        """Chooses the answer; its `logprob_weight` is in the particles' weights as
        well.
        """
        return Selector.of(self.config, self.context.canonical)

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        increments, stands = self._log_increments(tree), _standing(tree)
        population = Population(np.array([ROOT]), np.array([self.config.num_samples]), np.zeros(1))
        level = missing = np.array([], np.int64)
        for below in [*tree.levels(), np.array([], np.int64)]:
            is_open = ~tree.terminal[population.nodes]
            if not is_open.any():
                break
            level = population.nodes[is_open]
            missing = np.where(
                tree.closed[level], 0, population.particles[is_open] - tree.samples[level]
            )
            if self.is_last(tree, int(level[0])) or (missing > 0).any():
                break
            population = self._resample(
                _move(tree, population, below, stands, increments), rng.random()
            )
        best_first = np.argsort(-tree.along_paths(increments, np.add)[level], kind="stable")
        level, missing = level[best_first], missing[best_first]
        return Round(self.expansions(tree, level, missing), level.tolist())

    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the best leaf of the chosen answer.

        A weighted vote adds up, for every leaf, (the policy's probability of its path,
        estimated at every turn by the share of the samples that took it) x (the
        evidence on its path). The final particles' weights estimate the same, with
        noise from the draws. Leaves counted as often as they were sampled, and weighted
        by all their verdicts, would have the evidence twice: resampling by it has sent
        the samples there.
        """
        leaves = tree.answer_leaves()
        if self.selector.selection != "weighted_vote" or not leaves:
            return self.selector.choose(tree, leaves)
        evidence = tree.along_paths(self._log_increments(tree), np.add)
        log_weight = {leaf: _log_share(tree, leaf) + float(evidence[leaf]) for leaf in leaves}
        heaviest = max(log_weight.values())
        answers = {leaf: self.selector.canonical(tree.step(leaf).answer or "") for leaf in leaves}
        votes: dict[str, float] = {}
        for leaf, answer in answers.items():
            votes[answer] = votes.get(answer, 0.0) + math.exp(log_weight[leaf] - heaviest)
        winner = max(votes, key=lambda answer: votes[answer])
        return max(
            (leaf for leaf in leaves if answers[leaf] == winner), key=lambda leaf: log_weight[leaf]
        )

    def _resample(self, population: Population, uniform: float) -> Population:
        """Returns N particles of equal weight where the weights have become too uneven,
        else `population`.
        """
        nodes, particles, log_weight = population
        if not len(nodes):
            return population
        weights = np.exp(log_weight - log_weight.max())
        effective_sample_size = (particles * weights).sum() ** 2 / (particles * weights**2).sum()
        if effective_sample_size >= self.config.ess_threshold * self.config.num_samples:
            return population
        copies = systematic_resample(particles * weights, self.config.num_samples, uniform)
        survive = copies > 0
        return Population(nodes[survive], copies[survive], np.zeros(int(survive.sum())))

    def _log_increments(self, tree: ReasoningTree) -> NDArray[np.float64]:
        """Returns what each step adds to a particle's log weight, in nats, [N]."""
        increments: NDArray[np.float64] = self.selector.logprob_weight * tree.logprob
        if tree.is_judged:
            log_right = -np.logaddexp(0.0, -tree.log_likelihood_ratio)
            log_right[ROOT] = 0.0
            increments += log_right - np.where(tree.of_value, log_right[tree.parent], 0.0)
        return increments


def _move(
    tree: ReasoningTree,
    population: Population,
    below: NDArray[np.int64],
    stands: NDArray[np.bool_],
    increments: NDArray[np.float64],
) -> Population:
    """Lets every open particle take its step.

    The children of a node take its particles in the order in which they were made, each
    as many as it was sampled, until none is left. Particles that no sample is there for
    (the node was closed before) are dropped, and samples that no particle is there for
    (an answer was written from the node when the budget ended) are passed over. A child
    that is closed itself keeps its particles until their turn: what happens below a
    level does not change the level.

    Args:
        below: nodes of the next level.
        stands: see `_standing`, [N].
        increments: see `Particles._log_increments`, [N].
    """
    nodes, particles, log_weight = population
    ended = np.flatnonzero(tree.terminal[nodes])
    place = np.full(len(tree), -1)
    place[nodes] = np.arange(len(nodes))
    place[nodes[ended]] = -1
    children = below[place[tree.parent[below]] >= 0]
    # siblings together, in the order of their parents
    children = children[np.argsort(place[tree.parent[children]], kind="stable")]
    parents, count = place[tree.parent[children]], tree.count[children]
    before = np.cumsum(count) - count
    before -= before[np.searchsorted(parents, parents)]
    taken = np.clip(particles[parents] - before, 0, count)
    moved = stands[children] & (taken > 0)
    children, parents, taken = children[moved], parents[moved], taken[moved]
    order = np.argsort(np.concatenate([ended, parents]), kind="stable")
    return Population(
        np.concatenate([nodes[ended], children])[order],
        np.concatenate([particles[ended], taken])[order],
        np.concatenate([log_weight[ended], log_weight[parents] + increments[children]])[order],
    )


def _standing(tree: ReasoningTree) -> NDArray[np.bool_]:
    """Whether each node's step was neither cut off nor the end of a thought without an
    answer, [N]; it may have been closed since.
    """
    stands = np.where(tree.terminal, tree.answered, ~tree.closed)
    stands[list(tree.failures)] = True
    return stands


def systematic_resample(weights: ArrayLike, n: int, uniform: float) -> NDArray[np.int64]:
    """Returns how many of `n` particles each of `weights` gets, [K].

    Its share of [0, 1) catches those of the positions (uniform + i) / n, i < n, that
    lie in it. Nobody gets less than n x share rounded down, or more than it rounded up,
    and on average over `uniform` everybody gets n x share.

    Args:
        weights: [K], not negative, one of them above 0; they need not sum to 1.
        n: particles to give away.
        uniform: a draw from [0, 1).
    """
    cumulative = np.cumsum(weights)
    ends = n * (cumulative / cumulative[-1])
    whole = np.floor(ends)
    # positions i + uniform: the first `whole` of them always, the next one perhaps
    positions_below = whole + (uniform < ends - whole)
    copies: NDArray[np.int64] = np.diff(positions_below, prepend=0.0).astype(np.int64)
    return copies


def _log_share(tree: ReasoningTree, node: int) -> float:
    """Returns the log of an estimate of the path's probability: at each of its steps,
    the share of the samples that took it.
    """
    turns = ((each, tree.children[int(tree.parent[each])]) for each in tree.path(node))
    return sum(
        math.log(int(tree.count[each]) / int(tree.count[siblings].sum()))
        for each, siblings in turns
    )
