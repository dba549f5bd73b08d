"""What a tree makes one believe: one sum-product pass over all its verdicts, for every
answer at once.

Hidden are, for every step, whether it is right, and for the question, which answer is.
A step is *alive* when it and all steps before it are right. What was seen:

- A verdict, with its calibrated likelihood ratio. Of local scope it speaks of the step
  alone, whatever came before; of value scope it speaks of being alive, and at the end
  of a thought of its answer.
- The steps themselves: a step below an alive one is right with probability
  `right_rate`, pooled over the whole tree (and with a Beta prior, so that two samples
  do not say much); what the policy thinks likely, by what it reports and by what it
  repeats, is right more often (`logprob_weight`).
- The ends without an answer, where the policy gave up or began to take a step back:
  below a dead step `abort_rate` of its samples do, below an alive one `abort_ratio`
  times as many. So the policy's own doubt is evidence against the step that it doubts,
  and where it goes on time after time, that is evidence for it: among many samples some
  doubt a right step, too.
- The answers. An alive path ends at the right answer; a dead one ends anywhere: at the
  right one by `accident`, else at one of `wrong_answers` equally likely others. So
  agreement is evidence, as in a vote, and as much of it as the verdicts leave.

For each answer as the hypothesis (and for *none of them*), one pass from the leaves to
the root gives the probability of all that was seen, and one pass back how likely every
step is alive. Where a question has many right answers (Countdown's expressions), they
are no rivals: then there is one hypothesis, and an answer is believed as far as any
path to it is alive, or dead and right by accident.

The verdicts are taken to be independent given the truth. Where they are not,
`evidence_weight` below 1 discounts them; it is fitted on validation questions, and how
well beliefs are calibrated is measured, not assumed.

Source: Pearl, "Probabilistic reasoning in intelligent systems" (1988), chapter 4, for
belief propagation in trees. The model is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.schema.search.posterior import Assumptions
from graphs.tree import ROOT, ReasoningTree

Floats = NDArray[np.float64]
Nodes = NDArray[np.int64]

_NEWTON_STEPS = 8
_PASSES = 3  # of re-estimating the rate of right steps; it changes by less than .01 afterwards


@dataclass(frozen=True)
class BeliefModel:
    """Reads verdicts and agreement under assumptions."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    canonical: Callable[[str], str] = str.strip
    """Maps an answer to the form by which answers are compared."""

    @property
    def many_answers(self) -> bool:
        """Whether a question may have several right answers."""
        return self.assumptions.many_answers

    @property
    def abort_rate(self) -> float:
        """Share of the samples below a dead step that end without an answer; a null one
        is 0.
        """
        return self.assumptions.abort_rate or 0.0

    def infer(self, tree: ReasoningTree) -> Belief:
        """Returns what `tree` makes one believe. Costs O(nodes x answers)."""
        leaves = tree.answer_leaves()
        names = [self.canonical(tree.step(leaf).answer or "") for leaf in leaves]
        answers = list(dict.fromkeys(names))
        leaf_answers = np.array([answers.index(name) for name in names], np.int64)
        alive_leaf, dead_leaf, accident = self._leaf_factors(
            tree, leaves, leaf_answers, len(answers)
        )
        prior, levels = self._log_prior(len(answers)), tree.levels()
        in_vain = tree.terminal & ~tree.answered
        drawn = np.where(in_vain, 0, tree.count)
        alive_leaf += self._giving_up(tree, drawn)[:, None]
        lean = self._lean(tree, drawn)
        right_rate = self.assumptions.right_rate
        for _ in range(_PASSES):
            log_odds = _with_mean(right_rate, lean, drawn)
            log_odds[in_vain] = -np.inf  # no step, and what it shows is in `_giving_up`
            evidence, ratio = _upward(
                tree,
                levels,
                log_odds,
                self.assumptions.evidence_weight * tree.log_likelihood_ratio,
                alive_leaf,
                dead_leaf,
            )
            joint = prior + evidence
            hypothesis = np.exp(joint - np.logaddexp.reduce(joint))
            marginal = _downward(tree, levels, ratio) @ hypothesis
            parents_alive, nodes_alive = marginal[tree.parent[1:]], marginal[1:]
            seen = drawn[1:]
            right_rate = float(
                (
                    self.assumptions.prior_strength * self.assumptions.right_rate
                    + (seen * nodes_alive).sum()
                )
                / (self.assumptions.prior_strength + (seen * parents_alive).sum())
            )
        probability = hypothesis[:-1]
        if self.assumptions.many_answers:
            right_when_dead = np.zeros((len(tree), len(answers)))
            right_when_dead[leaves, leaf_answers] = accident
            probability = _some_right(tree, levels, ratio, right_when_dead)
        right = np.ones(len(tree))
        right[1:] = np.clip(nodes_alive / np.maximum(parents_alive, 1e-300), 0.0, 1.0)
        return Belief(
            dict(zip(answers, map(float, probability), strict=True)),
            marginal,
            right,
            right_rate,
            leaves,
            names,
        )

    def _lean(self, tree: ReasoningTree, drawn: Nodes) -> Floats:
        """How far the log-odds that each step is right lie above those of the average
        sample, for what the policy thinks of it, [N].

        `drawn` says how many samples each step is, none where it is an end without an
        answer, [N].
        """
        weights = drawn[1:]
        opinion = self._opinion(tree)
        average = float(opinion[1:] @ weights / max(weights.sum(), 1))
        return np.clip(self.assumptions.logprob_weight * (opinion - average), -10.0, 10.0)

    def _opinion(self, tree: ReasoningTree) -> Floats:
        """Log-odds that the policy gives to each step, [N]."""
        probability = np.clip(self.probability(tree), 1e-300, 1.0 - 1e-4)
        opinion: Floats = np.log(probability) - np.log1p(-probability)
        return opinion

    def probability(self, tree: ReasoningTree) -> Floats:
        """Returns the probability with which the policy takes each step, [N]; of the
        root 1.

        The mean of what it reported, worth `prior_strength` samples, and of the share
        of its samples at this place that were this step, the first sight of it left
        out. Where the report is the truth, counts add next to nothing.
        """
        asked = np.bincount(tree.parent[1:], weights=tree.count[1:], minlength=len(tree))[
            tree.parent
        ]
        again = np.maximum(tree.count - 1, 0)
        probability: Floats = (again + self.assumptions.prior_strength * np.exp(tree.logprob)) / (
            np.maximum(asked - 1, 0) + self.assumptions.prior_strength
        )
        probability[ROOT] = 1.0
        return probability

    def _giving_up(self, tree: ReasoningTree, drawn: Nodes) -> Floats:
        """Evidence for each node's being alive by how many of its samples ended without
        an answer, log-likelihood ratios, [N].

        How often the policy gives up differs from node to node. Over nodes that is
        Beta-distributed, with the means that the fields say and worth `prior_strength`
        samples, so that the counts are Polya's. As `abort_rate` falls to 0, what is
        left is log `abort_ratio`, once. `drawn` is as in `_lean`, [N].
        """
        parents = tree.parent[1:]
        gave_up = np.bincount(
            parents, weights=(tree.count - drawn)[1:], minlength=len(tree)
        ).astype(np.int64)
        went_on = np.bincount(parents, weights=drawn[1:], minlength=len(tree)).astype(np.int64)
        if not self.abort_rate:
            return np.where(gave_up > 0, math.log(self.assumptions.abort_ratio), 0.0)
        worth, dead, alive = (
            self.assumptions.prior_strength,
            self.abort_rate,
            self.assumptions.abort_ratio * self.abort_rate,
        )
        evidence: Floats = _polya(worth * alive, worth * dead, gave_up) + _polya(
            worth * (1.0 - alive), worth * (1.0 - dead), went_on
        )
        return evidence

    def _log_prior(self, answers: int) -> Floats:
        """Prior log-probabilities of the answers in order, and last of none of them."""
        if self.assumptions.many_answers:
            return np.zeros(1)
        unseen = max(self.assumptions.wrong_answers + 1.0 - answers, 1.0)
        return np.log(np.array([1.0] * answers + [unseen]) / (answers + unseen))

    def _leaf_factors(
        self, tree: ReasoningTree, leaves: list[int], answers: NDArray[np.int64], number: int
    ) -> tuple[Floats, Floats, Floats]:
        """What each node shows of an answer.

        Returns the log-probabilities of that when it is alive and when it is dead, [N,
        hypotheses], and the probability that a dead leaf is right by accident,
        [leaves].
        """
        hypotheses = 1 if self.assumptions.many_answers else number + 1
        alive, dead = np.zeros((len(tree), hypotheses)), np.zeros((len(tree), hypotheses))
        alive[tree.terminal] = -np.inf  # an end without an answer is dead
        if not leaves:
            return alive, dead, np.zeros(0)
        verdict = np.where(
            tree.of_value[leaves],
            self.assumptions.evidence_weight * tree.log_likelihood_ratio[leaves],
            0.0,
        )
        right, wrong = (
            math.log(self.assumptions.accident) + verdict,
            math.log1p(-self.assumptions.accident),
        )
        if self.assumptions.many_answers:
            alive[leaves] = 0.0
            dead[leaves, 0] = np.logaddexp(right, wrong)
        else:
            dead[leaves] = wrong - math.log(self.assumptions.wrong_answers)
            alive[leaves, answers] = 0.0
            dead[leaves, answers] = right
        return alive, dead, np.exp(right - np.logaddexp(right, wrong))


class Belief(NamedTuple):
    """What is believed of a tree of `N` nodes."""

    answers: dict[str, float]
    """Probability that each answer that was seen is right, in canonical form, in the
    order of the leaves; rivals sum to at most 1."""
    p_correct: Floats
    """Probability that each node is alive, [N]."""
    right: Floats
    """Probability that each node is right, given that its parent is alive, [N]; 1 for
    the root."""
    right_rate: float
    """Chance that a step below an alive one is right, as estimated from this tree."""
    leaves: list[int]
    """The tree's leaves."""
    names: list[str]
    """Their answers in canonical form."""

    @property
    def best(self) -> tuple[str | None, float]:
        """The answer that is believed most, the first of equals, and how much; None
        without one.
        """
        answer = max(self.answers, key=lambda name: self.answers[name], default=None)
        return answer, 0.0 if answer is None else self.answers[answer]

    @property
    def best_leaf(self) -> int | None:
        """The leaf of the best answer that is alive most probably."""
        answer, _ = self.best
        own = [leaf for leaf, name in zip(self.leaves, self.names, strict=True) if name == answer]
        return max(own, key=lambda leaf: self.p_correct[leaf], default=None)


def _polya(first: float, second: float, count: Nodes) -> Floats:
    """Returns for each count k the log of first (first + 1) ... (first + k - 1) over
    the same of `second`.
    """
    seen = np.arange(int(count.max(initial=0)))
    return np.concatenate([[0.0], np.cumsum(np.log((first + seen) / (second + seen)))])[count]


def _with_mean(rate: float, lean: Floats, count: Nodes) -> Floats:
    """Returns log-odds that differ by `lean` and whose probabilities have the mean
    `rate` over all samples, [N]; the root has no part.

    By Newton's method. Log-odds of the rate plus `lean` would have another mean, and
    every pass would take that for a discovery.
    """
    rate = min(max(rate, 1e-3), 1.0 - 1e-3)
    shift, weights = math.log(rate / (1.0 - rate)), count[1:] / max(int(count[1:].sum()), 1)
    for _ in range(_NEWTON_STEPS if lean.any() else 0):
        p = 1.0 / (1.0 + np.exp(-shift - lean[1:]))
        slope = max(float(weights @ (p * (1.0 - p))), 1e-6)
        shift -= min(max((float(weights @ p) - rate) / slope, -1.0), 1.0)
    return shift + lean


def _upward(
    tree: ReasoningTree,
    levels: Sequence[Nodes],
    log_odds: Floats,
    evidence: Floats,
    alive_leaf: Floats,
    dead_leaf: Floats,
) -> tuple[Floats, Floats]:
    """Passes messages from the leaves to the root.

    Returns the log-probability of all that was seen under each hypothesis,
    [hypotheses], and for each node the probability that it is right given that its
    parent is alive and all that was seen at and below it, [N, hypotheses].
    """
    right, wrong = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
    below_alive, below_dead = alive_leaf.copy(), dead_leaf.copy()
    given_right = (right + evidence)[:, None]
    of_dead = np.where(tree.of_value, 0.0, np.logaddexp(right + evidence, wrong))[:, None]
    ratio = np.ones_like(below_alive)
    for nodes in reversed(levels):
        is_right = given_right[nodes] + below_alive[nodes]
        is_wrong = wrong[nodes, None] + below_dead[nodes]
        message = np.logaddexp(is_right, is_wrong)
        ratio[nodes] = np.exp(is_right - message)
        parents = tree.parent[nodes]
        np.add.at(below_alive, parents, message)
        np.add.at(below_dead, parents, of_dead[nodes] + below_dead[nodes])
    return below_alive[ROOT], ratio


def _some_right(
    tree: ReasoningTree, levels: Sequence[Nodes], ratio: Floats, right_when_dead: Floats
) -> Floats:
    """Returns for each answer the probability that some leaf with it is right, alive or
    by accident, [answers].

    Below one node the children are independent, given whether it is alive; leaves that
    share a way are not.

    Args:
        ratio: see `_upward`, of one hypothesis, [N, 1].
        right_when_dead: probability that a dead leaf is right with that answer, 0 for
            all but its own, [N, answers].
    """
    none_if_dead = 1.0 - right_when_dead
    none_if_alive = np.where(right_when_dead > 0.0, 0.0, 1.0)
    for nodes in reversed(levels):
        none = ratio[nodes] * none_if_alive[nodes] + (1.0 - ratio[nodes]) * none_if_dead[nodes]
        np.multiply.at(none_if_alive, tree.parent[nodes], none)
        np.multiply.at(none_if_dead, tree.parent[nodes], none_if_dead[nodes])
    some: Floats = 1.0 - none_if_alive[ROOT]
    return some


def _downward(tree: ReasoningTree, levels: Sequence[Nodes], ratio: Floats) -> Floats:
    """Returns the probability that each node is alive under each hypothesis, [N,
    hypotheses]; the root is.
    """
    alive = ratio.copy()
    for nodes in levels:
        alive[nodes] *= alive[tree.parent[nodes]]
    return alive
