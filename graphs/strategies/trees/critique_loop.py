"""The suggestion-critique loop: propose, judge, keep what stands, reflect on what does
not, go back, until an answer stands.

The search walks down from the question level by level. At each level every kept node
proposes `num_children` next steps; the critic judges them; of all that were judged
right the best `beam_width` are kept. A step whose verdicts could not be read is neither
right nor wrong: where nothing was judged right it is kept, for another try would meet
the same critic. Where nothing stands the same nodes are asked again (the reflector may
say which step was wrong and go further back, `max_backtracks` times) until each was
asked for `max_children` steps; then the least bad step is taken. Where the budget does
not pay for another round (of tokens it keeps `reserve_tokens` back), or the path is
`max_depth` steps long, the best open node is written through to an answer, greedily:
the budget decides how good an answer is, not whether there is one.

The reflector's `backtrack` gives steps up and its `terminate` ends the search;
`continue` and `reflect` both mean another try from the same node, for a reflector that
sees nothing wrong does not overrule the critic.

With `beam_width` 1, `num_children` 1 and no reflector this is the plainest loop: one
proposal, a check, another try.

Source: O1 Replication Journey (arXiv:2410.18982), reasoning tree with reward-model
pruning and the propose-critique loop. We judge before we prune, so a wrong step is kept
in the tree as training data and never continued.
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
        level, standing = self._descend(tree)
        if tree.terminated:
            return Round([], [])
        if any(tree.terminal[node] for node in standing):
            return Round([], level)
        return Round(
            [self._expansion(tree, node) for node in level if self._may_expand(tree, node)], level
        )

    def to_reflect(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        """Of each node where nothing stands, the new wrong child that the critic minds
        least, for it is nearest to the truth.

        Nobody is asked any more when as many steps were given up as may be.
        """
        least_bad: dict[int, int] = {}
        if tree.backtracks >= self.config.max_backtracks:
            return []
        for node in new_nodes:
            parent = int(tree.parent[node])
            if tree.is_wrong(node) and not self._standing(tree, [parent]):
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
        _, standing = self._descend(tree)
        preferred = [node for node in standing if tree.terminal[node]] or leaves
        return max(
            preferred,
            key=lambda leaf: tree.path_score(leaf, logprob_weight=self.config.logprob_weight),
        )

    def _descend(self, tree: ReasoningTree) -> tuple[list[int], list[int]]:
        """Returns the deepest level that is kept, and those of its nodes' children that
        stand (empty, or a final among them).
        """
        level = [ROOT]
        while True:
            standing = self._standing(tree, level)
            if not standing and not any(self._may_expand(tree, node) for node in level):
                standing = self._least_bad(tree, level)
            standing.sort(
                key=lambda child: -tree.path_score(child, logprob_weight=self.config.logprob_weight)
            )
            standing = standing[: self.config.beam_width]
            if not standing or any(tree.terminal[child] for child in standing):
                return level, standing
            level = standing

    def _standing(self, tree: ReasoningTree, level: list[int]) -> list[int]:
        """Children of `level` that were judged right, were not given up, and lead
        somewhere; where no such child was, those whose verdicts could not be read.
        """
        children = [
            child
            for node in level
            for child in tree.children[node]
            if not tree.backtracked[child] and tree.leads_somewhere(child)
        ]
        right = [child for child in children if tree.is_right(child)]
        return right or [child for child in children if tree.is_unreadable(child)]

    def _least_bad(self, tree: ReasoningTree, level: list[int]) -> list[int]:
        """The finished step below `level` that the critic minds least; one that was
        given up only where there is no other.
        """
        finished = [
            child for node in level for child in tree.children[node] if tree.leads_somewhere(child)
        ]
        return sorted(
            finished,
            key=lambda child: (bool(tree.backtracked[child]), -tree.log_likelihood_ratio[child]),
        )[:1]

    def _may_expand(self, tree: ReasoningTree, node: int) -> bool:
        return not (tree.closed[node] or self.is_exhausted(tree, node) or self.is_last(tree, node))

    def _expansion(self, tree: ReasoningTree, node: int) -> Expansion:
        room = self.config.max_children - int(tree.samples[node])
        mistakes = (
            tuple(siblings_wrong(tree, node))[-self.config.show_mistakes :]
            if self.config.show_mistakes
            else ()
        )
        return Expansion(
            node,
            n=min(self.config.num_children, room),
            factor=self.config.retry_factor if mistakes else self.config.first_factor,
            mistakes=mistakes,
        )
