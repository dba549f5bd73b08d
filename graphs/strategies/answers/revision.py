"""Sequential revision: samples completions, and samples each wrong one again from
before its first wrong step, which the policy is shown.

`num_chains` attempts are written first. An attempt one of whose steps was judged wrong,
or that was cut off or ended without an answer, is revised: the next attempt begins
before that step, and the policy is shown the latest `show_mistakes` steps that were
judged wrong there. A chain stops when an attempt has no such step; all chains together
stop after `num_samples` attempts. The answer is chosen among all attempts, not among
the last ones, because a revision may break a right answer (38 % of them in the paper).

The state is read from the tree. An attempt *fails at* a node when the next step of the
attempt after that node is its first bad one. Steps before that are good, so a revision
fails at the same node again, fails at a node below, or is good: a chain only moves
down. Every attempt that fails at a node is followed by one revision from it; so the
number of chains that wait at a node is the number of samples through its bad children,
less the revisions sampled from it: `samples[node]`, at the root without the first
`num_chains`. Equal attempts share one path and are counted in its `count`.

Source: Snell et al. (arXiv:2408.03314), section 6; O1 Replication Journey
(arXiv:2410.18982) for going back no further than the mistake. Deviation: the paper's
model was trained to revise and sees whole earlier answers; ours sees the wrong steps
and the critic's reasons.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agents.types import Meter
from configs.schema.search import SequentialRevisionConfig
from graphs.strategies.base import Strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Expansion, ReasoningTree, siblings_wrong


@dataclass(frozen=True)
class SequentialRevision(Strategy):
    """See the module."""

    config: SequentialRevisionConfig

    @cached_property
    def selector(self) -> Selector:
        """Chooses among the answers of all attempts."""
        return Selector.of(self.config, self.context.canonical)

    def select(self, tree: ReasoningTree, meter: Meter, rng: random.Random) -> list[Expansion]:
        left = self.config.num_samples - int(tree.samples.sum())
        first = self.config.num_chains - int(tree.samples[ROOT])
        if first > 0:
            return (
                [] if tree.closed[ROOT] else [Expansion(ROOT, n=min(first, left), horizon="answer")]
            )
        wanted = []
        for node, n in self._waiting(tree):
            if left > 0 and not tree.closed[node]:
                wanted.append(
                    Expansion(
                        node, n=min(n, left), horizon="answer", mistakes=self._mistakes(tree, node)
                    )
                )
                left -= n
        return wanted

    def to_judge(self, tree: ReasoningTree, new_nodes: Sequence[int]) -> list[int]:
        return list(new_nodes)

    def choose(self, tree: ReasoningTree) -> int | None:
        return self.selector.choose(tree, tree.answer_leaves())

    def _waiting(self, tree: ReasoningTree) -> list[tuple[int, int]]:
        """Returns the nodes at which chains wait for a revision, with the number of
        chains, in the order of the nodes.
        """
        bad = tree.wrong() | ~tree.viable()
        bad[ROOT] = False
        comes_after_bad = tree.along_paths(bad.astype(float), np.maximum) > 0.0
        failed = np.bincount(
            tree.parent[1:], weights=np.where(bad, tree.count, 0)[1:], minlength=len(tree)
        ).astype(np.int64)
        waiting = np.where(comes_after_bad, 0, failed - tree.samples)
        waiting[ROOT] += self.config.num_chains
        nodes = np.flatnonzero(waiting > 0)
        return list(zip(nodes.tolist(), waiting[nodes].tolist(), strict=True))

    def _mistakes(self, tree: ReasoningTree, node: int) -> tuple[int, ...]:
        return (
            tuple(siblings_wrong(tree, node)[-self.config.show_mistakes :])
            if self.config.show_mistakes
            else ()
        )
