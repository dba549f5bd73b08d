"""Posterior search: infer from noisy verdicts what is alive, sample where it pays, and
stop when sure.

Other searches take the critic's number for the truth and keep the best few. Here a
verdict is evidence (graphs/strategies/posterior/belief.py), and what to do next follows
from the belief:

- *Where to sample.* At the node where belief x chance of getting home per token is
  largest: home to an answer by a way that is not there yet. A sample takes a step that
  is there already with the policy's own probability of it, and a new one otherwise. So
  where what the policy is likely to say has failed it is not asked again, and nobody
  starts anew above a step that all ways go through. Within a batch, each further sample
  at a node counts for what the ones before it have left.
- *How far.* Through to the answer, in one request at the engine's full speed, where
  most of the tokens fall on steps that are still alive: of g steps to go (1 - r^g) /
  ((1 - r) g) do, r being the rate of right steps. Where fewer than 1 / `step_cost` do,
  one step, which is judged before the next is paid for. Counted in generated tokens
  `step_cost` is 1, which goes step by step to the last one; counted in FLOPs or in an
  engine's time, for which prompts are read again, it is nearer to 2.
- *Whom to judge.* The steps that may be alive and may be not, in batches, until the
  best answer is believed or no doubt is worth a verdict: what agreement has settled
  costs none.
- *When to stop.* When the best answer is believed by `confidence`, or the expected gain
  of the next batch, in solved questions, times `worth_tokens` is less than its tokens.

Where the critic's errors are correlated, a model that was fitted on validation
questions (graphs/strategies/posterior/fitted.py) says in place of the sum-product pass
how far an answer is to be believed; the rest stays as it is.

The first samples go from the question to the answer, so an easy question costs what a
small vote costs. This strategy is ours; the questions that it answers are those of
metareasoning (Russell and Wefald, "Do the right thing", 1991).
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
"""`search.abort_rate` of a policy that backtracks. It fits best on validation
questions of the pocket; .12 was counted there."""


@dataclass(frozen=True)
class Posterior(Stepwise):
    """See the module."""

    config: PosteriorConfig

    @cached_property
    def belief_model(self) -> BeliefModel:
        """The assumptions under which verdicts are read. A null `abort_rate` is 0
        without backtracking, where no end of a sample is the policy's own doubt.
        """
        assumptions: Assumptions = self.config
        if assumptions.abort_rate is None:
            rate = ABORT_RATE if self.context.can_backtrack else 0.0
            assumptions = assumptions.model_copy(update={"abort_rate": rate})
        return BeliefModel(assumptions, self.context.canonical)

    def infer(self, tree: ReasoningTree) -> Belief:
        """Returns what the search believes of `tree`; computed once, until something
        happens to the tree.
        """
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
        """Returns the unjudged steps in the greatest doubt; none where the best answer
        is believed.
        """
        belief = self.infer(tree)
        if belief.best[1] >= self.config.confidence:
            return []
        # the variance of its being alive, given its parent, times the parent's chance
        doubt = belief.p_correct * (1.0 - belief.right)
        doubt[tree.closed & ~tree.terminal] = 0.0
        doubt[tree.judged + tree.unparsed > 0] = 0.0
        return [
            int(node)
            for node in np.flatnonzero(
                doubt >= max(self.config.min_uncertainty, float(doubt.max()) / 2)
            )
        ]

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.infer(tree).best_leaf

    def _batch(
        self, tree: ReasoningTree, belief: Belief, to_go: Floats, size: int
    ) -> Sequence[Expansion]:
        """Returns the requests of the next round; none where they are not worth their
        tokens.
        """
        rate = min(max(belief.right_rate, 0.01), 0.99)
        through = (1.0 - rate**to_go) / ((1.0 - rate) * to_go) * self.config.step_cost >= 1.0
        home = self._home(tree, belief, rate**to_go, through)
        tokens = to_go * max(float(tree.tokens[1:].mean()), 1.0)
        worth = np.where(tree.closed, 0.0, belief.p_correct * home) / tokens
        taken: dict[int, int] = {}
        gain, cost = 0.0, 0.0
        for _ in range(size):
            node = int(np.argmax(worth))
            if worth[node] <= 0.0:
                break
            gain += float(worth[node] * tokens[node])
            cost += float(tokens[node])
            worth[node] *= 1.0 - home[node]
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
        """Expected steps from each node to the answer, [N], at least 1: as if all paths
        were as long as those that came to one.
        """
        leaves = tree.answer_leaves()
        length = (
            float(np.average(tree.depth[leaves], weights=tree.count[leaves]))
            if len(leaves)
            else float(tree.depth.max()) + 1.0
        )
        to_go: Floats = np.maximum(length - tree.depth, 1.0)
        return to_go

    def _home(
        self, tree: ReasoningTree, belief: Belief, fresh: Floats, through: NDArray[np.bool_]
    ) -> Floats:
        """Chance that a sample from each node, if that is alive, comes to an answer by
        a way that is not there yet, [N].

        A step that is there already is taken with the policy's probability of it, and
        leads on where the sample goes through to the answer; a sample of one step ends
        there, with nothing new. What is left of the probability is new.

        Args:
            fresh: chance of a way that begins with a new step, [N].
            through: whether a sample from the node would go through, [N].
        """
        taken = self.belief_model.probability(tree)
        seen = np.bincount(tree.parent[1:], weights=taken[1:], minlength=len(tree))
        anew: Floats = np.maximum(1.0 - seen, 0.0) * fresh
        along = np.zeros(len(tree))
        for nodes in reversed(tree.levels()):
            home = np.where(tree.closed[nodes], 0.0, anew[nodes] + along[nodes])
            np.add.at(along, tree.parent[nodes], taken[nodes] * home * belief.right[nodes])
        return np.where(through, anew + along, anew)


def _by_p_correct(belief: Belief) -> Iterator[int]:
    """Yields the nodes, the one that is alive most probably first; they are sorted when
    somebody asks for them, which few rounds do.
    """
    yield from np.argsort(-belief.p_correct, kind="stable").tolist()


class _LastBelief(NamedTuple):
    """What a search believed of a tree when that had `version` events."""

    search: Posterior
    version: int
    belief: Belief


_last_beliefs: WeakKeyDictionary[ReasoningTree, _LastBelief] = WeakKeyDictionary()
"""What was computed last of each tree: between two events a belief is asked for by
`to_judge`, `select` and `choose`."""
