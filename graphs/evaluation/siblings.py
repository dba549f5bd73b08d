"""Within-sibling accuracy: whether a critic ranks a right continuation of a path above
a wrong one.

A search needs this accuracy, not the accuracy over all steps: a critic may predict
which questions are hard, or at which depth thoughts go wrong, without discriminating
between two siblings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphs.tree import ReasoningTree
from graphs.tree.truth import Truth


class SiblingPairs(NamedTuple):
    """Pairs of children, one right and one wrong, of a node whose path is right; and in
    how many pairs the critic prefers the right child (a tie is half).
    """

    pairs: int = 0
    wins: float = 0.0
    hard_pairs: int = 0
    """Pairs in which the policy gives the wrong child the higher log-probability."""
    hard_wins: float = 0.0

    def plus(self, other: SiblingPairs) -> SiblingPairs:
        """Returns the sum of both counts."""
        return SiblingPairs(
            self.pairs + other.pairs,
            self.wins + other.wins,
            self.hard_pairs + other.hard_pairs,
            self.hard_wins + other.hard_wins,
        )

    @property
    def accuracy(self) -> float:
        """Share of pairs in which the critic prefers the right child, in [0, 1]; NaN
        without pairs.
        """
        return self.wins / self.pairs if self.pairs else float("nan")

    @property
    def hard_accuracy(self) -> float:
        """`accuracy` over the hard pairs alone."""
        return self.hard_wins / self.hard_pairs if self.hard_pairs else float("nan")


def sibling_pairs(tree: ReasoningTree, truth: Truth) -> SiblingPairs:
    """Counts the pairs of a tree.

    Nodes below a wrong step are not counted, because no choice there leads to a right
    thought. A step without a readable verdict is left out: a missing verdict is not a
    tie.
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
