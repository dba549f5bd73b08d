"""Within-sibling accuracy: whether a critic tells a right continuation from a wrong one
of the same path.

That, and not its accuracy over all steps, is what a search needs of it: a critic may
know which questions are hard, or at which depth thoughts go wrong, and still have
nothing to say between two siblings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphs.tree import ReasoningTree
from graphs.tree.truth import Truth


class SiblingPairs(NamedTuple):
    """Pairs of children of one sound node, one right and one wrong, and in how many the
    critic prefers the right one; a tie is half.
    """

    pairs: int = 0
    wins: float = 0.0
    hard_pairs: int = 0
    """Those in which the policy gives the wrong one the higher log-probability."""
    hard_wins: float = 0.0

    def plus(self, other: SiblingPairs) -> SiblingPairs:
        """Returns the counts of both together."""
        return SiblingPairs(
            self.pairs + other.pairs,
            self.wins + other.wins,
            self.hard_pairs + other.hard_pairs,
            self.hard_wins + other.hard_wins,
        )

    @property
    def accuracy(self) -> float:
        """Share of pairs in the right order, in [0, 1]; NaN without pairs."""
        return self.wins / self.pairs if self.pairs else float("nan")

    @property
    def hard_accuracy(self) -> float:
        """The same of the pairs in which the policy prefers the wrong one."""
        return self.hard_wins / self.hard_pairs if self.hard_pairs else float("nan")


def sibling_pairs(tree: ReasoningTree, truth: Truth) -> SiblingPairs:
    """Counts the pairs of a tree.

    Below a wrong step nothing is counted, for there a choice decides nothing. A step
    without a readable verdict is no sibling: that nothing was said of it is no tie.
    """
    found = SiblingPairs()
    for node in range(len(tree)):
        judged = np.array([child for child in tree.children[node] if tree.judged[child]], np.int64)
        if not truth.sound[node] or len(judged) < 2:
            continue
        right, wrong = judged[truth.right[judged]], judged[~truth.right[judged]]
        evidence = (
            tree.log_likelihood_ratio[right][:, None] - tree.log_likelihood_ratio[wrong][None, :]
        )
        wins = np.where(evidence > 0, 1.0, np.where(evidence == 0, 0.5, 0.0))
        hard = tree.logprob[wrong][None, :] > tree.logprob[right][:, None]
        found = found.plus(
            SiblingPairs(wins.size, float(wins.sum()), int(hard.sum()), float(wins[hard].sum()))
        )
    return found
