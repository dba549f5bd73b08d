"""Particle filtering: thoughts drawn from the policy, conditioned on all their steps being right.

N particles move one step per round, each a sample of the policy. A step changes a particle's weight by what its verdict says: by
sigma(llr), the chance that it is right, where verdicts are of local scope, and by the ratio of that to the step before where they are of
value scope (each verdict then speaks for the whole path, and the weight is the latest one); with `logprob_weight`, also by a power of the
policy's probability. When the effective sample size ESS = (sum w)^2 / sum w^2 falls below `ess_threshold` x N, the particles are resampled
systematically: good ones are multiplied, poor ones die, and all weigh the same again. So the critic's doubt spreads the particles, where
beam search takes its word.

Finished particles stay, with their weight, and are resampled with the others, so that a good end costs no more samples. A particle whose
step was cut off or ended without an answer, or for which a node that was closed gave no next step, has weight 0; resampling gives its
place to others.

Nothing is remembered: the population is found anew at every call by moving it through the tree again. Particles on one node share their
past, so their weight, and are told apart by nothing; where one moved is known from how often each child was sampled. Random numbers are
drawn one per step, whether it resamples or not, so that a step draws the same at every call.

Source: Puri et al., "A probabilistic inference approach to inference-time scaling of LLMs" (arXiv:2502.01618), section 4.2. There
particles are resampled at every step (`ess_threshold=1`), by independent draws, and by a softmax of the reward. Systematic resampling and
the effective sample size are standard: Doucet and Johansen, "A tutorial on particle filtering and smoothing" (2009), section 3. How an
answer is chosen is ours, see `choose`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from graphs.selection import Selector, log_sigmoid
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, ReasoningTree


class Population(NamedTuple):
    """Where the particles are. Those on one node have one past, so one weight."""

    particles: dict[int, int]
    """How many stand on each node; N in all, but for those whose weight is 0."""
    log_weight: dict[int, float]
    """Weight of each particle on a node since the last resampling, in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles(Stepwise):
    """See the module."""

    num_samples: int
    """Particles (N)."""
    ess_threshold: float = 0.5
    """Share of N below which the effective sample size has the particles resampled, in [0, 1]; 1: at every step at which weights differ."""
    selector: Selector = field(default_factory=lambda: Selector("weighted_vote"))
    """Chooses the answer; its `logprob_weight` is in the particles' weights as well."""

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        population = Population({ROOT: self.num_samples}, {ROOT: 0.0})
        level: list[int] = []
        missing: dict[int, int] = {}
        while open_nodes := [node for node in population.particles if not tree.final[node]]:
            level = open_nodes
            missing = {node: population.particles[node] - int(tree.samples[node]) for node in level if not tree.closed[node]}
            if self.is_last(tree, level[0]) or any(n > 0 for n in missing.values()):
                break
            population = self._resample(self._move(tree, population), rng.random())
        level.sort(key=lambda node: -self._log_evidence(tree, node))
        return Round([self.expansion(tree, node, missing[node]) for node in level if missing.get(node, 0) > 0], level)

    def choose(self, tree: ReasoningTree) -> int | None:
        """Returns the best leaf of the chosen answer.

        A weighted vote adds up, for every leaf, (the policy's probability of its path, estimated at every turn by the share of the samples
        that took it) x (the evidence on its path). The final particles' weights estimate the same, with noise from the draws. Leaves
        counted as often as they were sampled, and weighted by all their verdicts, would have the evidence twice: resampling by it has sent
        the samples there.
        """
        leaves = tree.finals()
        if self.selector.selection != "weighted_vote" or not leaves:
            return self.selector.choose(tree, leaves)
        log_weight = {leaf: _log_share(tree, leaf) + self._log_evidence(tree, leaf) for leaf in leaves}
        heaviest = max(log_weight.values())
        answers = {leaf: self.selector.canonical(tree.step(leaf).answer or "") for leaf in leaves}
        votes: dict[str, float] = {}
        for leaf, answer in answers.items():
            votes[answer] = votes.get(answer, 0.0) + math.exp(log_weight[leaf] - heaviest)
        winner = max(votes, key=lambda answer: votes[answer])
        return max((leaf for leaf in leaves if answers[leaf] == winner), key=lambda leaf: log_weight[leaf])

    def _move(self, tree: ReasoningTree, population: Population) -> Population:
        """Lets every open particle take its step.

        The children of a node take its particles in the order in which they were made, each as many as it was sampled, until none is left.
        Particles that no sample is there for (the node was closed before) are dropped, and samples that no particle is there for (an
        answer was written from the node when the budget ended) are passed over. A child that is closed itself keeps its particles until
        their turn: what happens below a level does not change the level.
        """
        moved = Population({}, {})
        for node, left in population.particles.items():
            if tree.final[node]:
                moved.particles[node], moved.log_weight[node] = left, population.log_weight[node]
                continue
            for child in tree.children[node]:
                taken = min(left, int(tree.count[child]))
                left -= taken
                step = tree.step(child)
                if taken and step.finish_reason == "stop" and step.answer != "":
                    moved.particles[child] = taken
                    moved.log_weight[child] = population.log_weight[node] + self._log_increment(tree, child)
        return moved

    def _resample(self, population: Population, uniform: float) -> Population:
        """Returns N particles of equal weight where the weights have become too uneven, else `population`."""
        if not population.particles:
            return population
        count = np.array(list(population.particles.values()))
        log_weights = np.array(list(population.log_weight.values()))
        weights = np.exp(log_weights - log_weights.max())
        effective_sample_size = (count * weights).sum() ** 2 / (count * weights**2).sum()
        if effective_sample_size >= self.ess_threshold * self.num_samples:
            return population
        copies = systematic_resample((count * weights).tolist(), self.num_samples, uniform)
        survivors = {node: n for node, n in zip(population.particles, copies, strict=True) if n}
        return Population(survivors, dict.fromkeys(survivors, 0.0))

    def _log_increment(self, tree: ReasoningTree, node: int) -> float:
        """Returns what the step at `node` adds to a particle's log weight, in nats."""
        increment = self.selector.logprob_weight * float(tree.logprob[node])
        if tree.is_judged:
            increment += log_sigmoid(float(tree.log_likelihood_ratio[node]))
            parent = int(tree.parent[node])
            if parent != ROOT and tree.verdicts[node] and tree.verdicts[node][-1].scope == "value":
                increment -= log_sigmoid(float(tree.log_likelihood_ratio[parent]))
        return increment

    def _log_evidence(self, tree: ReasoningTree, node: int) -> float:
        """Returns what all steps to `node` add: the log weight that a particle there would have without resampling."""
        return sum(self._log_increment(tree, each) for each in tree.path(node))


def systematic_resample(weights: Sequence[float], n: int, uniform: float) -> list[int]:
    """Returns how many of `n` particles each of `weights` gets.

    Its share of [0, 1) catches those of the positions (uniform + i) / n, i < n, that lie in it. Nobody gets less than n x share
    rounded down, or more than it rounded up, and on average over `uniform` everybody gets n x share.

    Args:
        weights: [K], not negative, one of them above 0; they need not sum to 1.
        n: particles to give away.
        uniform: a draw from [0, 1).
    """
    cumulative = np.cumsum(weights)
    ends = n * (cumulative / cumulative[-1])
    whole = np.floor(ends)
    positions_below = whole + (uniform < ends - whole)  # positions i + uniform: the first `whole` of them always, the next one perhaps
    return [int(copies) for copies in np.diff(positions_below, prepend=0.0)]


def _log_share(tree: ReasoningTree, node: int) -> float:
    """Returns the log of an estimate of the path's probability: at each of its steps, the share of the samples that took it."""
    turns = ((each, tree.children[int(tree.parent[each])]) for each in tree.path(node))
    return sum(math.log(int(tree.count[each]) / int(tree.count[siblings].sum())) for each, siblings in turns)
