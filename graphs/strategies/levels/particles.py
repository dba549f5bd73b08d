"""Particle filtering: samples from the policy conditioned on all steps being right.

N particles move one step per round, each by a sample of the policy. A step multiplies
the particle's weight by sigma(llr), the probability that it is right, if its verdict is
of local scope. If the verdict is of value scope, the factor is that value divided by
the value of the step before, because each verdict then covers the whole path and the
weight is the latest one. With `logprob_weight` the factor includes a power of the
policy's probability. When the effective sample size ESS = (sum w)^2 / sum w^2 falls
below `ess_threshold` x N, the particles are resampled systematically: those with high
weights are duplicated, those with low weights dropped, and all weights are equal again.
An uncertain critic thus keeps the particles diverse, where beam search follows its
ranking.

Finished particles keep their weight and are resampled with the others. A particle has
weight 0 if its step was cut off or ended without an answer, or if its node was closed
before the next step was sampled; resampling gives its place to others.

There is no state: each call recomputes the population by moving it through the tree
again. Particles on one node share their past and thus their weight, and are
interchangeable; the counts of the children give where they moved. One random number is
drawn per step, whether it resamples or not, so that every call draws the same.

Source: Puri et al., "A probabilistic inference approach to inference-time scaling of
LLMs" (arXiv:2502.01618), section 4.2. There particles are resampled at every step
(`ess_threshold=1`), by independent draws, and by a softmax of the reward. Systematic
resampling and the effective sample size are standard: Doucet and Johansen, "A tutorial
on particle filtering and smoothing" (2009), section 3. The choice of the answer is
ours, see `choose`.
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
    """Number and weight of the particles on each node."""

    nodes: NDArray[np.int64]
    """[K]."""
    particles: NDArray[np.int64]
    """Number of particles on each node, [K]; sums to N less the particles of weight
    0."""
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
        increments, viable = self._log_increments(tree), _viable(tree)
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
                _move(tree, population, below, viable, increments), rng.random()
            )
        best_first = np.argsort(-tree.along_paths(increments, np.add)[level], kind="stable")
        level, missing = level[best_first], missing[best_first]
        return Round(self.expansions(tree, level, missing), level.tolist())

    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the best leaf of the chosen answer.

        A weighted vote sums over the leaves of an answer (the policy's probability of
        the path, estimated at each step by the share of samples that took it) x (the
        evidence on the path). The final particles' weights estimate the same with more
        noise. Counting each leaf once per sample and weighting it by all its verdicts
        would use the evidence twice, because resampling already sent samples there.
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
        """Returns N particles of equal weight if the effective sample size is below the
        threshold, else `population`.
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
        """Returns the increment of the log weight by each step, in nats, [N]."""
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
    viable: NDArray[np.bool_],
    increments: NDArray[np.float64],
) -> Population:
    """Returns the population after every open particle took its step.

    The children of a node take its particles in order of creation, each as many as its
    count, until none is left. Particles without a sample (the node was closed before)
    are dropped; samples without a particle (an answer was sampled from the node when
    the budget ended) are ignored. A closed child keeps its particles until their turn,
    so that later events do not change a level.

    Args:
        below: nodes of the next level.
        viable: see `_viable`, [N].
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
    moved = viable[children] & (taken > 0)
    children, parents, taken = children[moved], parents[moved], taken[moved]
    order = np.argsort(np.concatenate([ended, parents]), kind="stable")
    return Population(
        np.concatenate([nodes[ended], children])[order],
        np.concatenate([particles[ended], taken])[order],
        np.concatenate([log_weight[ended], log_weight[parents] + increments[children]])[order],
    )


def _viable(tree: ReasoningTree) -> NDArray[np.bool_]:
    """Returns whether each node was neither cut off nor ended without an answer when it
    was sampled, [N]; it may have been closed since.
    """
    viable = np.where(tree.terminal, tree.answered, ~tree.closed)
    viable[list(tree.failures)] = True
    return viable


def systematic_resample(weights: ArrayLike, n: int, uniform: float) -> NDArray[np.int64]:
    """Returns how many of `n` particles each of `weights` gets, [K].

    Each weight owns a part of [0, 1) of the size of its share, and gets one particle
    per position (uniform + i) / n, i < n, in that part. It gets n x share rounded down
    or up, and n x share on average over `uniform`.

    Args:
        weights: [K], not negative, one of them above 0; they need not sum to 1.
        n: number of particles.
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
    """Returns the log of the path's estimated probability, the product of each step's
    share of the samples below its parent.
    """
    choices = ((each, tree.children[int(tree.parent[each])]) for each in tree.path(node))
    return sum(
        math.log(int(tree.count[each]) / int(tree.count[siblings].sum()))
        for each, siblings in choices
    )
