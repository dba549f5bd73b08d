"""Monte Carlo tree search over steps, or over the thought factors that they are written
under.

One simulation walks down from the question by max(Q + U)
(graphs/strategies/trees/puct.py) until it comes to

- a node that is not expanded yet: it is expanded, the critic judges the new steps, and
  the value of the best child is backed up;
- an answer: its value is backed up again, at no cost;
- a dead end, where no child can be continued: 0 is backed up.

The value of a node is exp(score of the path to it), in [0, 1], as the critic sees it.
With `value="rollout"` it is that of the answer that greedy decoding reaches, 0 without
one: a node gets its rollout at the first visit and is expanded at the second, as in
classic UCT. Steps of a rollout stay in the tree, and later simulations walk through
them.

Actions. Without thought factors, the actions of a node are `num_children` samples of
one request. With them, the actions are the legal factors (`ThoughtFactor.after`), and
each is sampled by a pool: `pool_size` replicas at different temperatures or with
different adapters. The replica with the best score is the child of the factor;
simulations ignore the others. The five factors of configs/policy/rstar.yaml make this
rStar without its discriminator.

Priors are uniform, or the policy's (a softmax of each step's mean log-probability per
token), or those of a policy head that was trained on visit counts (`training=heads`).
The head computes the priors of the factors before a node is expanded, and factors below
`min_prior` are not sampled.

Parallel leaves. One `select` may run several simulations. A pending simulation counts
as `virtual_loss` visits of value 0 for those that follow, and no two end at the same
node. The virtual losses end with the call; the tree's `visit_count` holds the completed
visits.

Sources: AlphaZero (arXiv:1712.01815) for PUCT; Reverse-o1 (Zhang Junlin, 2024) for
factors as actions and the pool; rStar (arXiv:2408.06195) for legal actions; OpenR
(arXiv:2410.09671) for the critic's value of an unvisited child and for priors from
log-probabilities. Deviations: an expansion backs up the best of the children's values,
not the node's own; and the root never moves, because there is no opponent.
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
    """Scalar access to the columns of a tree, a few times faster than indexing;
    simulations spend most of their time on it.
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
    """A path from the root, with the terms of its score.

    `value_with` returns exp(Selector.score) of one more step without walking up to the
    root again: it is called for every unvisited child of every level.
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
class _Pending:
    """The pending simulations of one call, which are not backed up yet."""

    noise: dict[int, float]
    """Share of the Dirichlet noise of each child of the root; empty without noise."""
    visits: dict[int, int] = field(default_factory=dict)
    """Virtual visits by node."""
    taken: set[int] = field(default_factory=set)
    """Nodes at which they end, and nodes whose children are all taken."""


@dataclass(frozen=True)
class Mcts(Stepwise):
    """See the module."""

    config: MctsConfig

    @cached_property
    def selector(self) -> Selector:
        """Scores paths, and chooses among answers."""
        return Selector.of(self.config, self.context.canonical)

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        view, pending = _View(tree), _Pending(self._noise(tree, rng))
        wanted: list[Expansion] = []
        backups: list[Backup] = []
        for _ in range(
            min(self.config.parallel_leaves, self.config.num_simulations - view.visit_count(ROOT))
        ):
            leaf = self._simulate(view, pending)
            if leaf is None:
                break
            if view.terminal(leaf):
                backups.append(Backup(leaf, self.value_of(tree, leaf)))
            elif self._needs_rollout(view, leaf):
                wanted.append(Expansion(leaf, horizon="answer", temperature=0.0))
            elif self._may_expand(view, leaf):
                wanted += self._expansions(tree, leaf)
            else:
                backups.append(Backup(leaf, 0.0))
        return Round(wanted, self._open_nodes(view), backups)

    def needs_priors(self, tree: ReasoningTree, wanted: Sequence[Expansion]) -> list[int]:
        if self.config.prior != "policy_head":
            return []
        nodes = dict.fromkeys(
            expansion.node for expansion in wanted if expansion.factor is not None
        )
        return [node for node in nodes if node not in tree.priors]

    def to_back_up(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[Backup]:
        """Returns a backup of the best new leaf below every expanded node.

        A rollout is backed up by `select`, when a simulation reaches its leaf.
        """
        if self.config.value == "rollout":
            return []
        view, parent_of = _View(tree), tree.parent.item
        best: dict[int, Backup] = {}
        paths: dict[int, _Path] = {}
        for node in new_nodes:
            if tree.children[node] or not tree.is_viable(node):
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
            leaf = self._most_visited_path(_View(tree))[-1]
            if tree.terminal[leaf]:
                return leaf
        return self.selector.choose(tree, tree.answer_leaves())

    def value_of(self, tree: ReasoningTree, node: int) -> float:
        """Returns the value of a node other than the root, in [0, 1]."""
        return _Path(_View(tree), self.selector, tree.path(node)[:-1]).value_with(node)

    def priors(self, tree: ReasoningTree, actions: Sequence[int]) -> list[float]:
        """Returns the prior P of each action of one node; they sum to 1.

        They are uniform if the policy head computed none (the budget had ended). A step
        without a thought factor gets the mean prior.
        """
        if self.config.prior == "policy_head" and (
            by_factor := tree.priors.get(tree.parent.item(actions[0]))
        ):
            average = 1 / len(by_factor)
            weights = [by_factor.get(tree.step(child).factor or "", average) for child in actions]
            if total := sum(weights):
                return [weight / total for weight in weights]
        if self.config.prior != "logprob":
            return [1 / len(actions)] * len(actions)
        logprobs, tokens = tree.logprob.item, tree.tokens.item
        return softmax([logprobs(child) / max(1, tokens(child)) for child in actions])

    def root_policy(self, tree: ReasoningTree, *, temperature: float = 1.0) -> dict[int, float]:
        """Returns each action of the root with its share of the visits, N^(1 /
        temperature) normalised: the training target of a policy. Empty before the first
        visit.
        """
        view = _View(tree)
        actions = self._actions(_Path(view, self.selector))
        visits = [view.visit_count(child) for child in actions]
        return (
            dict(zip(actions, visit_shares(visits, temperature=temperature), strict=True))
            if any(visits)
            else {}
        )

    def _simulate(self, view: _View, pending: _Pending) -> int | None:
        """Returns the node at which the next simulation ends, and adds its virtual
        loss; None if there is none.
        """
        taken = pending.taken
        while ROOT not in taken:
            path, node = _Path(view, self.selector), ROOT
            while not self._ends_at(view, node):
                actions = self._actions(path)
                free = [child for child in actions if child not in taken] if taken else actions
                if not free:
                    break
                node = self._best(path, free, pending)
                path.append(node)
            else:
                actions = []
            taken.add(node)
            if not actions and (node != ROOT or self._may_expand(view, ROOT)):
                for visited in path.nodes:
                    pending.visits[visited] = (
                        pending.visits.get(visited, 0) + self.config.virtual_loss
                    )
                return node
        return None

    def _ends_at(self, view: _View, node: int) -> bool:
        """Whether a simulation ends at a node that may have children: at a terminal
        node, for an expansion or for a rollout.
        """
        return (
            view.terminal(node) or self._may_expand(view, node) or self._needs_rollout(view, node)
        )

    def _awaits_rollout(self, view: _View, node: int) -> bool:
        """Whether the node still needs a rollout for its value: at its first visit."""
        return self.config.value == "rollout" and node != ROOT and not view.visit_count(node)

    def _needs_rollout(self, view: _View, node: int) -> bool:
        """Whether the rollout of a node must be sampled; otherwise the simulation
        follows the existing children.
        """
        return not view.children[node] and self._awaits_rollout(view, node)

    def _may_expand(self, view: _View, node: int) -> bool:
        """Whether the node may be expanded: once, within `max_depth`, and not before
        its rollout.
        """
        samples, tree = view.samples(node), view.tree
        if samples and node in tree.written_through and node in tree.greedy_child:
            samples -= 1  # a rollout is no expansion
        if samples or view.closed(node) or self._awaits_rollout(view, node):
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

        At `max_depth` only factors with horizon "answer" are used; if there is none,
        all factors with that horizon.
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
        """Returns the actions at the path's last node: all viable children, or the best
        one per factor.

        A visited child stays the action of its factor, so that visits are not spread
        over a pool.
        """
        view = path.view
        closed, tree = view.closed, view.tree
        children = [
            child
            for child in view.children[path.nodes[-1]]
            if not closed(child) or tree.is_viable(child)
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

    def _best(self, path: _Path, actions: Sequence[int], pending: _Pending) -> int:
        """Returns the action with the greatest Q + U, the first one of several."""
        view = path.view
        counts, sums = view.visit_count, view.value_sum
        visits = [counts(child) for child in actions]
        if pending.visits:
            visits = [
                n + pending.visits.get(child, 0) for child, n in zip(actions, visits, strict=True)
            ]
        values = [
            sums(child) / n if n else path.value_with(child)
            for child, n in zip(actions, visits, strict=True)
        ]
        priors = self.priors(view.tree, actions)
        if pending.noise and len(path.nodes) == 1:
            weight, total = (
                self.config.noise_weight,
                sum(pending.noise[child] for child in actions),
            )
            priors = [
                (1 - weight) * p + weight * pending.noise[child] / total
                for p, child in zip(priors, actions, strict=True)
            ]
        scores = puct_scores(
            values, priors, visits, c_puct=self.config.c_puct, c_base=self.config.c_base
        )
        return actions[scores.index(max(scores))]

    def _noise(self, tree: ReasoningTree, rng: random.Random) -> dict[int, float]:
        """Returns the noise of the root's children; `rng` is seeded anew at every call,
        so the noise is the same in all simulations of a thought.
        """
        children = tree.children[ROOT]
        if not self.config.noise_weight or not children:
            return {}
        return dict(
            zip(children, dirichlet(rng, self.config.noise_alpha, len(children)), strict=True)
        )

    def _open_nodes(self, view: _View) -> Iterator[int]:
        """Yields the nodes of the most visited path from below; a generator, because
        few rounds need the path.
        """
        yield from reversed(self._most_visited_path(view))

    def _most_visited_path(self, view: _View) -> list[int]:
        """Returns the path of the most visited actions from the root."""
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
