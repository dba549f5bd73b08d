"""Infers from all verdicts of a tree, in one sum-product pass, how probable each answer
is and how probable it is that each node is correct.

The hidden variables are whether each step is right and which answer is right. A node is
*correct* when its step and all steps before it are right. The observations:

- Verdicts, as calibrated likelihood ratios. A verdict of local scope depends on its
  step alone, whatever came before. One of value scope depends on whether the node is
  correct or, at an answer leaf, on its answer.
- The steps themselves. A step below a correct node is right with probability
  `right_rate`, estimated over the whole tree under a Beta prior, so that two samples
  move it little. Steps that the policy finds likely, by its reported log-probabilities
  and by how often it repeats them, are right more often (`logprob_weight`).
- Aborts: samples that end without an answer or in a backtrack token. Below an incorrect
  node `abort_rate` of the samples abort, below a correct one `abort_ratio` times as
  many. An abort is thus evidence against the node, and a sample that continues is
  evidence for it: among many samples some abort below a correct node, too.
- Answers. A correct path ends at the right answer. An incorrect one ends at the right
  answer with probability `accident`, else at one of `wrong_answers` equally likely
  others. Agreement is thus evidence, as in a vote.

For each hypothesis (each answer, and *none of them*) one pass from the leaves to the
root gives the probability of the observations, and one pass back gives each node's
p_correct. Where a question has many right answers (Countdown's expressions) the answers
do not exclude each other. Then there is one hypothesis, and the probability of an
answer is that of a path to it that is correct, or right by accident.

Verdicts are assumed independent given the truth. Where they are not, an
`evidence_weight` below 1 discounts them. It is fitted on validation questions; the
calibration of the beliefs is measured, not assumed.

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
_PASSES = 3  # re-estimates of right_rate; later ones change it by less than .01


@dataclass(frozen=True)
class BeliefModel:
    """Computes beliefs from verdicts, agreement and aborts under `assumptions`."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    canonical: Callable[[str], str] = str.strip
    """Maps an answer to the form by which answers are compared."""

    @property
    def many_answers(self) -> bool:
        """Whether a question may have several right answers."""
        return self.assumptions.many_answers

    @property
    def abort_rate(self) -> float:
        """Probability that a sample below an incorrect node aborts; null means 0."""
        return self.assumptions.abort_rate or 0.0

    def infer(self, tree: ReasoningTree) -> Belief:
        """Returns the posterior given `tree`, in O(nodes x answers)."""
        leaves = tree.answer_leaves()
        names = [self.canonical(tree.step(leaf).answer or "") for leaf in leaves]
        answers = list(dict.fromkeys(names))
        leaf_answers = np.array([answers.index(name) for name in names], np.int64)
        if_correct, if_incorrect, accident = self._leaf_factors(
            tree, leaves, leaf_answers, len(answers)
        )
        prior, levels = self._log_prior(len(answers)), tree.levels()
        aborted = tree.terminal & ~tree.answered
        continued = np.where(aborted, 0, tree.count)
        if_correct += self._abort_evidence(tree, continued)[:, None]
        offset = self._log_odds_offset(tree, continued)
        right_rate = self.assumptions.right_rate
        for _ in range(_PASSES):
            log_odds = _with_mean(right_rate, offset, continued)
            log_odds[aborted] = -np.inf  # no step; its evidence is in `_abort_evidence`
            evidence, ratio = _upward(
                tree,
                levels,
                log_odds,
                self.assumptions.evidence_weight * tree.log_likelihood_ratio,
                if_correct,
                if_incorrect,
            )
            joint = prior + evidence
            hypothesis = np.exp(joint - np.logaddexp.reduce(joint))
            marginal = _downward(tree, levels, ratio) @ hypothesis
            parents_correct, nodes_correct = marginal[tree.parent[1:]], marginal[1:]
            weights = continued[1:]
            right_rate = float(
                (
                    self.assumptions.prior_strength * self.assumptions.right_rate
                    + (weights * nodes_correct).sum()
                )
                / (self.assumptions.prior_strength + (weights * parents_correct).sum())
            )
        probability = hypothesis[:-1]
        if self.assumptions.many_answers:
            p_accident = np.zeros((len(tree), len(answers)))
            p_accident[leaves, leaf_answers] = accident
            probability = _some_right(tree, levels, ratio, p_accident)
        p_right = np.ones(len(tree))
        p_right[1:] = np.clip(nodes_correct / np.maximum(parents_correct, 1e-300), 0.0, 1.0)
        return Belief(
            dict(zip(answers, map(float, probability), strict=True)),
            marginal,
            p_right,
            right_rate,
            leaves,
            names,
        )

    def _log_odds_offset(self, tree: ReasoningTree, continued: Nodes) -> Floats:
        """Returns by how much the policy's probability of each step raises the log-odds
        that it is right, relative to the mean over all samples, [N].

        `continued` counts the samples of each step, 0 for aborts, [N].
        """
        weights = continued[1:]
        log_odds = self._policy_log_odds(tree)
        average = float(log_odds[1:] @ weights / max(weights.sum(), 1))
        return np.clip(self.assumptions.logprob_weight * (log_odds - average), -10.0, 10.0)

    def _policy_log_odds(self, tree: ReasoningTree) -> Floats:
        """Returns the log-odds of the policy's probability of each step, [N]."""
        probability = np.clip(self.probability(tree), 1e-300, 1.0 - 1e-4)
        log_odds: Floats = np.log(probability) - np.log1p(-probability)
        return log_odds

    def probability(self, tree: ReasoningTree) -> Floats:
        """Returns the policy's probability of each step given its parent, [N]; 1 for
        the root.

        The mean of the reported probability, which counts as `prior_strength` samples,
        and the step's share of the samples below its parent, without the first sample
        of the step. Where the reported probability is exact, the counts hardly move it.
        """
        samples = np.bincount(tree.parent[1:], weights=tree.count[1:], minlength=len(tree))[
            tree.parent
        ]
        repeats = np.maximum(tree.count - 1, 0)
        probability: Floats = (repeats + self.assumptions.prior_strength * np.exp(tree.logprob)) / (
            np.maximum(samples - 1, 0) + self.assumptions.prior_strength
        )
        probability[ROOT] = 1.0
        return probability

    def _abort_evidence(self, tree: ReasoningTree, continued: Nodes) -> Floats:
        """Returns the log-likelihood ratio of each node's being correct given how many
        samples below it aborted, [N].

        The abort rate differs between nodes: it is Beta-distributed with mean
        `abort_rate` (times `abort_ratio` if correct) and a weight of `prior_strength`
        samples, so the counts are beta-binomial. As `abort_rate` falls to 0, the ratio
        tends to log `abort_ratio`, once per node. `continued` as in
        `_log_odds_offset`, [N].
        """
        parents = tree.parent[1:]
        aborts = np.bincount(
            parents, weights=(tree.count - continued)[1:], minlength=len(tree)
        ).astype(np.int64)
        others = np.bincount(parents, weights=continued[1:], minlength=len(tree)).astype(np.int64)
        if not self.abort_rate:
            return np.where(aborts > 0, math.log(self.assumptions.abort_ratio), 0.0)
        strength = self.assumptions.prior_strength
        if_incorrect = self.abort_rate
        if_correct = self.assumptions.abort_ratio * self.abort_rate
        evidence: Floats = _polya(strength * if_correct, strength * if_incorrect, aborts) + _polya(
            strength * (1.0 - if_correct), strength * (1.0 - if_incorrect), others
        )
        return evidence

    def _log_prior(self, answers: int) -> Floats:
        """Returns the log-prior of each answer and, last, of none of them,
        [hypotheses].
        """
        if self.assumptions.many_answers:
            return np.zeros(1)
        unseen = max(self.assumptions.wrong_answers + 1.0 - answers, 1.0)
        return np.log(np.array([1.0] * answers + [unseen]) / (answers + unseen))

    def _leaf_factors(
        self, tree: ReasoningTree, leaves: list[int], answers: NDArray[np.int64], number: int
    ) -> tuple[Floats, Floats, Floats]:
        """Returns the log-likelihood of each node's answer if the node is correct and
        if it is incorrect, [N, hypotheses] each, and the probability that the answer of
        an incorrect leaf is right by accident, [leaves].
        """
        hypotheses = 1 if self.assumptions.many_answers else number + 1
        if_correct = np.zeros((len(tree), hypotheses))
        if_incorrect = np.zeros((len(tree), hypotheses))
        if_correct[tree.terminal] = -np.inf  # a terminal node without an answer is incorrect
        if not leaves:
            return if_correct, if_incorrect, np.zeros(0)
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
            if_correct[leaves] = 0.0
            if_incorrect[leaves, 0] = np.logaddexp(right, wrong)
        else:
            if_incorrect[leaves] = wrong - math.log(self.assumptions.wrong_answers)
            if_correct[leaves, answers] = 0.0
            if_incorrect[leaves, answers] = right
        return if_correct, if_incorrect, np.exp(right - np.logaddexp(right, wrong))


class Belief(NamedTuple):
    """The posterior given a tree of `N` nodes."""

    answers: dict[str, float]
    """Probability that each answer in the tree is right, by canonical form, in the
    order of the leaves; sums to at most 1 where only one answer can be right."""
    p_correct: Floats
    """Probability that each node is correct, [N]."""
    p_right: Floats
    """Probability that each step is right, given that its parent is correct, [N]; 1 for
    the root."""
    right_rate: float
    """Mean probability that a step below a correct node is right, estimated from this
    tree."""
    leaves: list[int]
    """The answer leaves of the tree."""
    names: list[str]
    """Their answers in canonical form."""

    @property
    def best(self) -> tuple[str | None, float]:
        """The most probable answer, the first of equals, and its probability; (None, 0)
        without an answer.
        """
        answer = max(self.answers, key=lambda name: self.answers[name], default=None)
        return answer, 0.0 if answer is None else self.answers[answer]

    @property
    def best_leaf(self) -> int | None:
        """The leaf of the best answer with the highest p_correct."""
        answer, _ = self.best
        own = [leaf for leaf, name in zip(self.leaves, self.names, strict=True) if name == answer]
        return max(own, key=lambda leaf: self.p_correct[leaf], default=None)


def _polya(first: float, second: float, count: Nodes) -> Floats:
    """Returns, for each count k, log of first (first + 1) ... (first + k - 1) divided
    by second (second + 1) ... (second + k - 1).
    """
    before = np.arange(int(count.max(initial=0)))
    return np.concatenate([[0.0], np.cumsum(np.log((first + before) / (second + before)))])[count]


def _with_mean(rate: float, offset: Floats, count: Nodes) -> Floats:
    """Returns log-odds shift + `offset`, [N], whose probabilities have the mean `rate`
    over all samples; the root is left out.

    The shift is found by Newton's method. With shift = logit(rate) the mean would not
    be `rate`, and each pass would take the difference for evidence about right_rate.
    """
    rate = min(max(rate, 1e-3), 1.0 - 1e-3)
    shift, weights = math.log(rate / (1.0 - rate)), count[1:] / max(int(count[1:].sum()), 1)
    for _ in range(_NEWTON_STEPS if offset.any() else 0):
        p = 1.0 / (1.0 + np.exp(-shift - offset[1:]))
        slope = max(float(weights @ (p * (1.0 - p))), 1e-6)
        shift -= min(max((float(weights @ p) - rate) / slope, -1.0), 1.0)
    return shift + offset


def _upward(
    tree: ReasoningTree,
    levels: Sequence[Nodes],
    log_odds: Floats,
    evidence: Floats,
    if_correct: Floats,
    if_incorrect: Floats,
) -> tuple[Floats, Floats]:
    """Passes messages from the leaves to the root.

    Returns the log-probability of all observations under each hypothesis, [hypotheses],
    and the probability that each step is right given that its parent is correct and all
    observations at and below it, [N, hypotheses].
    """
    right, wrong = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
    below_correct, below_incorrect = if_correct.copy(), if_incorrect.copy()
    given_right = (right + evidence)[:, None]
    local = np.where(tree.of_value, 0.0, np.logaddexp(right + evidence, wrong))[:, None]
    ratio = np.ones_like(below_correct)
    for nodes in reversed(levels):
        is_right = given_right[nodes] + below_correct[nodes]
        is_wrong = wrong[nodes, None] + below_incorrect[nodes]
        message = np.logaddexp(is_right, is_wrong)
        ratio[nodes] = np.exp(is_right - message)
        parents = tree.parent[nodes]
        np.add.at(below_correct, parents, message)
        np.add.at(below_incorrect, parents, local[nodes] + below_incorrect[nodes])
    return below_correct[ROOT], ratio


def _some_right(
    tree: ReasoningTree, levels: Sequence[Nodes], ratio: Floats, p_accident: Floats
) -> Floats:
    """Returns for each answer the probability that some leaf with it is right, because
    the leaf is correct or by accident, [answers].

    The children of a node are independent given whether the node is correct; leaves
    that share a prefix are not independent.

    Args:
        ratio: second result of `_upward`, for one hypothesis, [N, 1].
        p_accident: probability that the answer of an incorrect leaf is right; 0 for the
            answers of other leaves, [N, answers].
    """
    none_if_incorrect = 1.0 - p_accident
    none_if_correct = np.where(p_accident > 0.0, 0.0, 1.0)
    for nodes in reversed(levels):
        none = (
            ratio[nodes] * none_if_correct[nodes] + (1.0 - ratio[nodes]) * none_if_incorrect[nodes]
        )
        np.multiply.at(none_if_correct, tree.parent[nodes], none)
        np.multiply.at(none_if_incorrect, tree.parent[nodes], none_if_incorrect[nodes])
    some: Floats = 1.0 - none_if_correct[ROOT]
    return some


def _downward(tree: ReasoningTree, levels: Sequence[Nodes], ratio: Floats) -> Floats:
    """Returns p_correct of each node under each hypothesis, [N, hypotheses]; 1 for the
    root.
    """
    p_correct = ratio.copy()
    for nodes in levels:
        p_correct[nodes] *= p_correct[tree.parent[nodes]]
    return p_correct
