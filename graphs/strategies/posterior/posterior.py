"""Posterior search: infers from noisy verdicts which nodes are correct, samples where a
new answer costs least, and stops when one answer is probable enough.

Other searches take the critic's score for the truth and keep the best few nodes. Here a
verdict is evidence (graphs/strategies/posterior/belief.py) and the belief decides:

- *Where to sample.* At the node that maximises p_correct x p_answer / expected tokens,
  where p_answer is the probability that a sample from a correct node reaches an answer
  by a path that is not in the tree yet. A sample repeats a step of the tree with the
  policy's probability of that step, else it writes a new one. So the search does not
  sample where the likely steps have failed, and does not restart above a step that all
  paths share. Within a batch, each further sample at a node counts only for the
  probability that the ones before it failed.
- *How far.* In one request to the answer, at the engine's full speed, where most tokens
  fall on steps that are correct: of g steps to go the expected share is
  (1 - r^g) / ((1 - r) g), r being the rate of right steps. Where it is below
  1 / `step_cost`, one step, which is judged before the next is paid for. In generated
  tokens `step_cost` is 1, which samples single steps until the last; in FLOPs or engine
  time, which include reading prompts again, it is nearer to 2.
- *What to judge.* The steps with the largest uncertainty, in batches, until the best
  answer reaches `confidence` or no uncertainty reaches `min_uncertainty`. Where samples
  agree, no verdict is paid for.
- *When to stop.* When the probability of the best answer reaches `confidence`, or when
  the next batch's expected gain in solved questions x `worth_tokens` is less than its
  tokens.

Where the critic's errors are correlated, a model that was fitted on validation
questions (graphs/strategies/posterior/fitted.py) replaces the sum-product pass for the
probabilities of the answers only.

The first samples run from the question to the answer, so an easy question costs as much
as a small vote. This strategy is ours; its decisions are those of metareasoning
(Russell and Wefald, "Do the right thing", 1991).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from configs.schema.search import PosteriorConfig
from configs.schema.search.posterior import Assumptions
from graphs.strategies.posterior.belief import Belief, BeliefModel, Floats
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, Expansion, ReasoningTree

ABORT_RATE = 0.3
"""Default of `search.abort_rate` for a policy that backtracks. It fits best on the
pocket model's validation questions, although the counted rate is .12."""


@dataclass(frozen=True)
class Posterior(Stepwise):
    """See the module."""

    config: PosteriorConfig

    @cached_property
    def belief_model(self) -> BeliefModel:
        """Computes beliefs under the options of the search. A null `abort_rate` is 0
        for a policy without backtrack tokens, whose aborts are no evidence.
        """
        assumptions: Assumptions = self.config
        if assumptions.abort_rate is None:
            rate = ABORT_RATE if self.context.can_backtrack else 0.0
            assumptions = assumptions.model_copy(update={"abort_rate": rate})
        return BeliefModel(assumptions, self.context.canonical)

    def infer(self, tree: ReasoningTree) -> Belief:
        """Returns the posterior given `tree`, cached until the next event."""
        last = _last_beliefs.get(tree)
        if last is not None and last.search is self and last.version == tree.version:
            return last.belief
        belief = self.belief_model.infer(tree)
        if self.context.answer_model is not None:
            belief = belief._replace(answers=self.context.answer_model.infer(tree))
        _last_beliefs[tree] = _LastBelief(self, tree.version, belief)
        return belief

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        if not tree.samples.any():
            first = min(self.config.first_samples, self.config.num_samples)
            return Round(
                [Expansion(ROOT, n=first, horizon="answer")] if not tree.closed[ROOT] else [],
                [ROOT],
            )
        to_go = self._steps_to_go(tree)
        left = math.ceil(self.config.num_samples - float(tree.count[1:].sum() / to_go[ROOT]))
        belief = self.infer(tree)
        is_done = left <= 0 or belief.best[1] >= self.config.confidence
        return Round(
            [] if is_done else self._batch(tree, belief, to_go, min(left, self.config.batch_size)),
            _by_p_correct(belief),
        )

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns the unjudged steps with at least half the largest uncertainty; none
        once the best answer reaches `confidence`.
        """
        belief = self.infer(tree)
        if belief.best[1] >= self.config.confidence:
            return []
        # P(parent correct) x variance of "step right" given a correct parent
        uncertainty = belief.p_correct * (1.0 - belief.p_right)
        uncertainty[tree.closed & ~tree.terminal] = 0.0
        uncertainty[tree.judged + tree.unparsed + tree.no_claim > 0] = 0.0
        return [
            int(node)
            for node in np.flatnonzero(
                uncertainty >= max(self.config.min_uncertainty, float(uncertainty.max()) / 2)
            )
        ]

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.infer(tree).best_leaf

    def _batch(
        self, tree: ReasoningTree, belief: Belief, to_go: Floats, size: int
    ) -> Sequence[Expansion]:
        """Returns the expansions of the next round; none where their expected gain is
        worth less than their tokens.

        Args:
            to_go: expected steps from each node to an answer, [N].
            size: number of samples.
        """
        rate = min(max(belief.right_rate, 0.01), 0.99)
        through = (1.0 - rate**to_go) / ((1.0 - rate) * to_go) * self.config.step_cost >= 1.0
        p_answer = self._p_new_answer(tree, belief, rate**to_go, through)
        tokens = to_go * max(float(tree.tokens[1:].mean()), 1.0)
        utility = np.where(tree.closed, 0.0, belief.p_correct * p_answer) / tokens
        taken: dict[int, int] = {}
        gain, cost = 0.0, 0.0
        for _ in range(size):
            node = int(np.argmax(utility))
            if utility[node] <= 0.0:
                break
            gain += float(utility[node] * tokens[node])
            cost += float(tokens[node])
            utility[node] *= 1.0 - p_answer[node]
            taken[node] = taken.get(node, 0) + 1
        if (
            self.config.worth_tokens is not None
            and (1.0 - belief.best[1]) * gain * self.config.worth_tokens < cost
        ):
            return []
        return [
            Expansion(node, n=n, horizon="answer")
            if through[node]
            else self.expansion(tree, node, n)
            for node, n in taken.items()
        ]

    def _steps_to_go(self, tree: ReasoningTree) -> Floats:
        """Returns the expected steps from each node to an answer, [N], at least 1: the
        mean depth of the answer leaves (without one, the tree's depth + 1) less the
        node's depth.
        """
        leaves = tree.answer_leaves()
        length = (
            float(np.average(tree.depth[leaves], weights=tree.count[leaves]))
            if len(leaves)
            else float(tree.depth.max()) + 1.0
        )
        to_go: Floats = np.maximum(length - tree.depth, 1.0)
        return to_go

    def _p_new_answer(
        self, tree: ReasoningTree, belief: Belief, p_complete: Floats, through: NDArray[np.bool_]
    ) -> Floats:
        """Returns for each node the probability that a sample from it, if it is
        correct, reaches an answer by a path that is not in the tree, [N].

        A sample repeats a child with the policy's probability of the child. It then
        continues from there if it is sampled through to the answer; a sample of one
        step ends there, with nothing new. The rest of the probability is that of a new
        step.

        Args:
            p_complete: probability that a path that begins with a new step reaches an
                answer, [N].
            through: whether a sample from the node runs through to the answer, [N].
        """
        p_child = self.belief_model.probability(tree)
        p_repeat = np.bincount(tree.parent[1:], weights=p_child[1:], minlength=len(tree))
        by_new_step: Floats = np.maximum(1.0 - p_repeat, 0.0) * p_complete
        by_child = np.zeros(len(tree))
        for nodes in reversed(tree.levels()):
            p_answer = np.where(tree.closed[nodes], 0.0, by_new_step[nodes] + by_child[nodes])
            np.add.at(
                by_child, tree.parent[nodes], p_child[nodes] * p_answer * belief.p_right[nodes]
            )
        return np.where(through, by_new_step + by_child, by_new_step)


def _by_p_correct(belief: Belief) -> Iterator[int]:
    """Yields the nodes by falling p_correct; a generator, because few rounds need the
    order.
    """
    yield from np.argsort(-belief.p_correct, kind="stable").tolist()


class _LastBelief(NamedTuple):
    """The belief that `search` computed for a tree with `version` events."""

    search: Posterior
    version: int
    belief: Belief


_last_beliefs: WeakKeyDictionary[ReasoningTree, _LastBelief] = WeakKeyDictionary()
"""Latest belief per tree: `to_judge`, `select` and `choose` ask for the same one
between two events."""
