"""The suggestion-critique loop: proposes steps, judges them, keeps the best right ones,
reflects on wrong ones and backtracks, until an answer is judged right.

The search walks down from the question level by level. At each level `num_children`
next steps are sampled from every kept node and judged; the best `beam_width` of those
judged right are kept. The first step of a node is decoded at `first_temperature`, 0 by
default, and the others are sampled. A step may be neither right nor wrong: its verdict
could not be parsed, found no claim, has no calibration, or is too weak. It is kept if
no step was judged right, because another try would meet the same critic. So a critic
without information leaves the greedy thought as it is. If no step can be kept, the same
nodes are sampled again until each has `max_children` samples; the reflector may name an
earlier step as wrong and backtrack to it, `max_backtracks` times. Then the wrong step
with the highest log-likelihood ratio is kept. When the budget does not pay for another
round (`reserve_tokens` are reserved), or the path has `max_depth` steps, an answer is
sampled greedily from the best open node.

The reflector's `backtrack` abandons steps and its `terminate` ends the search. After
`continue` and `reflect` the same node is sampled again, because the reflector does not
overrule the critic.

With `beam_width` 1, `num_children` 1 and no reflector the loop is: one proposal, one
verdict, a retry if it is wrong.

Source: O1 Replication Journey (arXiv:2410.18982), reasoning tree with reward-model
pruning and the propose-critique loop. We judge before we prune, so a wrong step stays
in the tree as training data and is never continued.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from configs.schema.search import CritiqueLoopConfig
from graphs.strategies.stepwise import Round, Stepwise
from graphs.tree import ROOT, Expansion, ReasoningTree, siblings_wrong


@dataclass(frozen=True)
class CritiqueLoop(Stepwise):
    """See the module. All numbers count per node of the tree."""

    config: CritiqueLoopConfig

    def next_round(self, tree: ReasoningTree, rng: random.Random) -> Round:
        level, kept = self._descend(tree)
        if tree.terminated:
            return Round([], [])
        if any(tree.terminal[node] for node in kept):
            return Round([], level)
        return Round(
            [
                expansion
                for node in level
                if self._may_expand(tree, node)
                for expansion in self._expansions(tree, node)
            ],
            level,
        )

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Returns, for each node without a child to keep, the new wrong child with the
        highest log-likelihood ratio; nothing after `max_backtracks` backtracks.
        """
        least_bad: dict[int, int] = {}
        if tree.backtracks >= self.config.max_backtracks:
            return []
        for node in new_nodes:
            parent = int(tree.parent[node])
            if tree.is_wrong(node) and not self._to_keep(tree, [parent]):
                rival = least_bad.setdefault(parent, node)
                if tree.log_likelihood_ratio[node] > tree.log_likelihood_ratio[rival]:
                    least_bad[parent] = node
        return list(least_bad.values())

    def is_exhausted(self, tree: ReasoningTree, node: int) -> bool:
        return bool(tree.samples[node] >= self.config.max_children)

    def choose(self, tree: ReasoningTree) -> int | None:
        leaves = tree.answer_leaves()
        if not leaves:
            return None
        _, kept = self._descend(tree)
        preferred = [node for node in kept if tree.terminal[node]] or leaves
        return max(
            preferred,
            key=lambda leaf: tree.path_score(leaf, logprob_weight=self.config.logprob_weight),
        )

    def _descend(self, tree: ReasoningTree) -> tuple[list[int], list[int]]:
        """Returns the deepest level that is kept, and its children to keep: none, or a
        terminal node among them.
        """
        level = [ROOT]
        while True:
            kept = self._to_keep(tree, level)
            if not kept and not any(self._may_expand(tree, node) for node in level):
                kept = self._least_bad(tree, level)
            kept.sort(
                key=lambda child: -tree.path_score(child, logprob_weight=self.config.logprob_weight)
            )
            kept = kept[: self.config.beam_width]
            if not kept or any(tree.terminal[child] for child in kept):
                return level, kept
            level = kept

    def _to_keep(self, tree: ReasoningTree, level: list[int]) -> list[int]:
        """Returns the children of `level` that were judged right, were not backtracked
        over and are viable; if there is none, those that are undecided.
        """
        children = [
            child
            for node in level
            for child in tree.children[node]
            if not tree.backtracked[child] and tree.is_viable(child)
        ]
        right = [child for child in children if tree.is_right(child)]
        return right or [child for child in children if tree.is_undecided(child)]

    def _least_bad(self, tree: ReasoningTree, level: list[int]) -> list[int]:
        """Returns the viable child of `level` with the highest log-likelihood ratio;
        one that was backtracked over only if there is no other.
        """
        viable = [child for node in level for child in tree.children[node] if tree.is_viable(child)]
        return sorted(
            viable,
            key=lambda child: (bool(tree.backtracked[child]), -tree.log_likelihood_ratio[child]),
        )[:1]

    def _may_expand(self, tree: ReasoningTree, node: int) -> bool:
        return not (tree.closed[node] or self.is_exhausted(tree, node) or self.is_last(tree, node))

    def _expansions(self, tree: ReasoningTree, node: int) -> list[Expansion]:
        """Returns the next requests below `node`: at first one at `first_temperature`
        and one for the other children.
        """
        taken, temperature = int(tree.samples[node]), self.config.first_temperature
        number = min(self.config.num_children, self.config.max_children - taken)
        if taken or temperature is None:
            return [self._expansion(tree, node, number)]
        first = self._expansion(tree, node, 1)._replace(temperature=temperature)
        return [first, self._expansion(tree, node, number - 1)] if number > 1 else [first]

    def _expansion(self, tree: ReasoningTree, node: int, number: int) -> Expansion:
        mistakes = (
            tuple(siblings_wrong(tree, node))[-self.config.show_mistakes :]
            if self.config.show_mistakes
            else ()
        )
        return Expansion(
            node,
            n=number,
            factor=self.config.retry_factor if mistakes else self.config.first_factor,
            mistakes=mistakes,
        )
