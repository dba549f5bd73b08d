"""Monte Carlo tree search over steps, or over the thought factors that they are written
under.

One simulation walks down from the question by max(Q + U)
(graphs/strategies/trees/puct.py) until it comes to

- a node where the policy was not asked yet: it is expanded, the critic judges the new
  steps, and the value of the best way on is backed up;
- an answer: its value is backed up again, at no cost;
- a dead end, where nothing that was written leads on: 0 is backed up.

The value of a node is exp(score of the path to it), in [0, 1], as the critic sees it.
With `value="rollout"` it is that of the answer which greedy writing comes to, 0 where
it comes to none: a node is written through at the first visit and expanded at the
second, as in classic UCT. Steps of a rollout stay in the tree and are walked into later
like any other.

Actions. Freely, a node's actions are `num_children` samples of one request. With
thought factors its actions are the legal ones (`ThoughtFactor.after`), and each is
written by a pool: `pool_size` replicas at different temperatures or with different
adapters, of which the best by score is the factor's child; the others are never walked
into. The five factors of configs/policy/rstar.yaml make this rStar without its
discriminator.

Priors are even, or the policy's (its mean log-probability per token of what it wrote),
or a policy head's, which was trained on where simulations went (`training=heads`): it
says of the node that is about to be expanded how likely each factor is the one to go on
with, and factors below `min_prior` are not even written.

Parallel leaves. One `select` may run several simulations. Those under way count as
`virtual_loss` visits of value 0 for those that follow, and no two end at the same node.
All of this is forgotten with the call: what was visited is in the tree's `visit_count`.

Sources: AlphaZero (arXiv:1712.01815) for PUCT; Reverse-o1 (Zhang Junlin, 2024) for
factors as actions and the pool; rStar (arXiv:2408.06195) for legal actions; OpenR
(arXiv:2410.09671) for the critic's value of an unvisited child and for priors from
log-probabilities. Deviations: when a node is expanded, not its own verdict is backed up
but the best of its children's; and the tree keeps its root, for nobody else moves in
between.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from agents.types import ThoughtFactor
from agents.types.factor import QUESTION, legal_factors, pool_replicas
from configs.schema.search import MctsConfig
from graphs.strategies.selection import Selector, log_sigmoid
from graphs.strategies.stepwise import Round, Stepwise
from graphs.strategies.trees.puct import dirichlet, puct_scores, softmax, visit_shares
from graphs.tree import ROOT, Backup, Expansion, ReasoningTree


class _View:
    """What one call reads of a tree, number by number; a simulation does little else,
    and this is a few times faster than indexing.
    """

    __slots__ = (
        "children",
        "closed",
        "log_likelihood_ratio",
        "logprob",
        "samples",
        "terminal",
        "tree",
        "value_sum",
        "visit_count",
    )

    def __init__(self, tree: ReasoningTree) -> None:
        self.tree = tree
        self.children = tree.children
        self.samples = tree.samples.item
        self.terminal = tree.terminal.item
        self.closed = tree.closed.item
        self.visit_count = tree.visit_count.item
        self.value_sum = tree.value_sum.item
        self.logprob = tree.logprob.item
        self.log_likelihood_ratio = tree.log_likelihood_ratio.item


class _Path:
    """A path down the tree, with what the value of its next step is made of.

    `value_with` is exp(Selector.score) of one more step without a second way up to the
    root: it is asked for at every unvisited child of every level.
    """

    __slots__ = ("log_scores", "logprob", "nodes", "selector", "view")

    def __init__(self, view: _View, selector: Selector, nodes: Sequence[int] = ()) -> None:
        self.view = view
        self.selector = selector
        self.nodes = [ROOT]
        self.log_scores: list[float] = []
        self.logprob = 0.0
        for node in nodes:
            self.append(node)

    def append(self, node: int) -> None:
        self.nodes.append(node)
        self.log_scores.append(log_sigmoid(self.view.log_likelihood_ratio(node)))
        self.logprob += self.view.logprob(node)

    def value_with(self, child: int) -> float:
        """Returns the value of `child`, a child of the path's last node."""
        selector, log_scores = self.selector, None
        if self.view.tree.is_judged:
            log_scores = [*self.log_scores, log_sigmoid(self.view.log_likelihood_ratio(child))]
        return math.exp(selector.combine(log_scores, self.logprob + self.view.logprob(child)))


@dataclass(slots=True)
class _UnderWay:
    """The simulations of one call that have not been backed up."""

    noise: dict[int, float]
    """Share of the Dirichlet noise of each child of the root; empty without noise."""
    visits: dict[int, int] = field(default_factory=dict)
    """Virtual visits by node."""
    taken: set[int] = field(default_factory=set)
    """Where they ended, and nodes below which nothing else is left."""


@dataclass(frozen=True)
class Mcts(Stepwise):
    """See the module."""

    config: MctsConfig

    @cached_property
    def selector(self) -> Selector:
        """Scores paths, and chooses among answers."""
        return Selector.of(self.config, self.context.canonical)

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        view, under_way = _View(tree), _UnderWay(self._noise(tree, rng))
        wanted: list[Expansion] = []
        backups: list[Backup] = []
        for _ in range(
            min(self.config.parallel_leaves, self.config.num_simulations - view.visit_count(ROOT))
        ):
            leaf = self._simulate(view, under_way)
            if leaf is None:
                break
            if view.terminal(leaf):
                backups.append(Backup(leaf, self.value_of(tree, leaf)))
            elif self._is_unwritten(view, leaf):
                wanted.append(Expansion(leaf, horizon="answer", temperature=0.0))
            elif self._may_expand(view, leaf):
                wanted += self._expansions(tree, leaf)
            else:
                backups.append(Backup(leaf, 0.0))
        return Round(wanted, self._where_to_end(view), backups)

    def needs_priors(self, tree: ReasoningTree, wanted: Sequence[Expansion]) -> list[int]:
        if self.config.prior != "policy_head":
            return []
        nodes = dict.fromkeys(
            expansion.node for expansion in wanted if expansion.factor is not None
        )
        return [node for node in nodes if node not in tree.priors]

    def to_back_up(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[Backup]:
        """Backs up the best new end below every node that was expanded: a step, or the
        last one of what was written through.

        A rollout is backed up by `select`, which comes to its end as to any other.
        """
        if self.config.value == "rollout":
            return []
        view, parent_of = _View(tree), tree.parent.item
        best: dict[int, Backup] = {}
        paths: dict[int, _Path] = {}
        for node in new_nodes:
            if tree.children[node] or not tree.leads_somewhere(node):
                continue
            parent = expanded = parent_of(node)
            while not view.samples(expanded):
                expanded = parent_of(expanded)
            if parent not in paths:
                paths[parent] = _Path(view, self.selector, tree.path(parent))
            value = paths[parent].value_with(node)
            if expanded not in best or value > best[expanded].value:
                best[expanded] = Backup(node, value)
        return list(best.values())

    def choose(self, tree: ReasoningTree) -> int | None:
        if self.config.choose_by == "visits":
            leaf = self._favourite(_View(tree))[-1]
            if tree.terminal[leaf]:
                return leaf
        return self.selector.choose(tree, tree.answer_leaves())

    def value_of(self, tree: ReasoningTree, node: int) -> float:
        """Returns the value of a node other than the root, in [0, 1]."""
        return _Path(_View(tree), self.selector, tree.path(node)[:-1]).value_with(node)

    def priors(self, tree: ReasoningTree, actions: Sequence[int]) -> list[float]:
        """Returns P of each action of one node; they add up to 1.

        A policy head that was not asked (the budget had ended) leaves them even; a step
        without a thought factor, which it cannot know, counts as an average one.
        """
        if self.config.prior == "policy_head" and (
            weighed := tree.priors.get(tree.parent.item(actions[0]))
        ):
            average = 1 / len(weighed)
            weights = [weighed.get(tree.step(child).factor or "", average) for child in actions]
            if total := sum(weights):
                return [weight / total for weight in weights]
        if self.config.prior != "logprob":
            return [1 / len(actions)] * len(actions)
        logprobs, tokens = tree.logprob.item, tree.tokens.item
        return softmax([logprobs(child) / max(1, tokens(child)) for child in actions])

    def root_policy(self, tree: ReasoningTree, *, temperature: float = 1.0) -> dict[int, float]:
        """Returns each action of the root with its share of the visits, N^(1 /
        temperature) normalised: what a policy would be trained towards. Empty before
        the first visit.
        """
        view = _View(tree)
        actions = self._actions(_Path(view, self.selector))
        visits = [view.visit_count(child) for child in actions]
        return (
            dict(zip(actions, visit_shares(visits, temperature=temperature), strict=True))
            if any(visits)
            else {}
        )

    def _simulate(self, view: _View, under_way: _UnderWay) -> int | None:
        """Returns where the next simulation ends, and counts it as under way; None
        where there is no such place.
        """
        taken = under_way.taken
        while ROOT not in taken:
            path, node = _Path(view, self.selector), ROOT
            while not self._ends_at(view, node):
                actions = self._actions(path)
                free = [child for child in actions if child not in taken] if taken else actions
                if not free:
                    break
                node = self._best(path, free, under_way)
                path.append(node)
            else:
                actions = []
            taken.add(node)
            if not actions and (node != ROOT or self._may_expand(view, ROOT)):
                for visited in path.nodes:
                    under_way.visits[visited] = (
                        under_way.visits.get(visited, 0) + self.config.virtual_loss
                    )
                return node
        return None

    def _ends_at(self, view: _View, node: int) -> bool:
        """Whether a simulation ends at a node though there may be children: an answer,
        or something to write.
        """
        return view.terminal(node) or self._may_expand(view, node) or self._is_unwritten(view, node)

    def _is_fresh(self, view: _View, node: int) -> bool:
        """Whether the value of a node is still to be found by a rollout: at its first
        visit.
        """
        return self.config.value == "rollout" and node != ROOT and not view.visit_count(node)

    def _is_unwritten(self, view: _View, node: int) -> bool:
        """Whether the rollout of a node has to be written; else the simulation follows
        what is there.
        """
        return not view.children[node] and self._is_fresh(view, node)

    def _may_expand(self, view: _View, node: int) -> bool:
        """Whether the policy may be asked for the next steps of a node: once, and not
        inside what is written through.
        """
        samples, tree = view.samples(node), view.tree
        if samples and node in tree.written_through and node in tree.greedy_child:
            samples -= 1  # a rollout is no expansion
        if samples or view.closed(node) or self._is_fresh(view, node):
            return False
        if self.context.max_depth is not None and tree.depth[node] > self.context.max_depth:
            return False
        return not self.config.use_factors or bool(self._legal(tree, node))

    def _legal(self, tree: ReasoningTree, node: int) -> list[ThoughtFactor]:
        return legal_factors(
            self.context.factors, QUESTION if node == ROOT else tree.step(node).factor
        )

    def _expansions(self, tree: ReasoningTree, node: int) -> list[Expansion]:
        """Returns the requests that expand a node: one, or for each legal factor one
        per kind of replica in its pool.

        Where the path is as long as may be, only factors that write through to the
        answer are tried; where there are none, all have to.
        """
        if not self.config.use_factors:
            return [self.expansion(tree, node, self.config.num_children)]
        pool = pool_replicas(
            self.config.pool_size, self.config.pool_temperatures, self.config.pool_adapters
        )
        legal, is_last = self._legal(tree, node), self.is_last(tree, node)
        if is_last:
            legal = [factor for factor in legal if factor.horizon == "answer"] or legal
        if priors := tree.priors.get(node):
            weights = [priors.get(factor.name, 0.0) for factor in legal]
            least = min(self.config.min_prior * sum(weights), max(weights))
            legal = [
                factor for factor, weight in zip(legal, weights, strict=True) if weight >= least
            ]
        return [
            Expansion(
                node,
                n=n,
                horizon="answer" if is_last else factor.horizon,
                factor=factor.name,
                temperature=temperature,
                adapter=adapter,
            )
            for factor in legal
            for (temperature, adapter), n in pool.items()
        ]

    def _actions(self, path: _Path) -> list[int]:
        """Returns the children of the path's last node that may be walked into: all
        that lead somewhere, or the best one per factor.

        A child that was visited keeps its place, so that visits are not spread over a
        pool.
        """
        view = path.view
        closed, tree = view.closed, view.tree
        children = [
            child
            for child in view.children[path.nodes[-1]]
            if not closed(child) or tree.leads_somewhere(child)
        ]
        if not self.config.use_factors:
            return children
        pools: dict[str | None, list[int]] = {}
        for child in children:
            pools.setdefault(tree.step(child).factor, []).append(child)
        return [
            pool[0]
            if len(pool) == 1
            else next(filter(view.visit_count, pool), None) or max(pool, key=path.value_with)
            for pool in pools.values()
        ]

    def _best(self, path: _Path, actions: Sequence[int], under_way: _UnderWay) -> int:
        """Returns the action with the greatest Q + U, the first one of several."""
        view = path.view
        counts, sums = view.visit_count, view.value_sum
        visits = [counts(child) for child in actions]
        if under_way.visits:
            visits = [
                n + under_way.visits.get(child, 0) for child, n in zip(actions, visits, strict=True)
            ]
        values = [
            sums(child) / n if n else path.value_with(child)
            for child, n in zip(actions, visits, strict=True)
        ]
        priors = self.priors(view.tree, actions)
        if under_way.noise and len(path.nodes) == 1:
            weight, total = (
                self.config.noise_weight,
                sum(under_way.noise[child] for child in actions),
            )
            priors = [
                (1 - weight) * p + weight * under_way.noise[child] / total
                for p, child in zip(priors, actions, strict=True)
            ]
        scores = puct_scores(
            values, priors, visits, c_puct=self.config.c_puct, c_base=self.config.c_base
        )
        return actions[scores.index(max(scores))]

    def _noise(self, tree: ReasoningTree, rng: random.Random) -> dict[int, float]:
        """Draws the root's noise; `rng` begins anew at every call, so it is the same in
        all simulations of a thought.
        """
        children = tree.children[ROOT]
        if not self.config.noise_weight or not children:
            return {}
        return dict(
            zip(children, dirichlet(rng, self.config.noise_alpha, len(children)), strict=True)
        )

    def _where_to_end(self, view: _View) -> Iterator[int]:
        """Yields the nodes of the favourite path from below; it is found when somebody
        asks for them, which few rounds do.
        """
        yield from reversed(self._favourite(view))

    def _favourite(self, view: _View) -> list[int]:
        """Returns the path of the most visited actions from the root, as far as it
        goes.
        """
        nodes, visits = [ROOT], view.visit_count
        while children := view.children[nodes[-1]]:
            child = max(children, key=visits)
            if not visits(child):
                break
            nodes.append(child)
        else:
            return nodes
        path = _Path(view, self.selector, nodes[1:])
        while actions := self._actions(path):
            path.append(max(actions, key=visits))
        return path.nodes
