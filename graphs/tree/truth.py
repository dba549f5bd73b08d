"""The exact truth about every node of a reasoning tree, where a family's checker knows
it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.critics.base import texts_of
from agents.families import Problem
from agents.safety.visible_text import strip_markup
from graphs.tree import ReasoningTree

Bools = NDArray[np.bool_]


class Truth(NamedTuple):
    """What the family's checker says of a tree of `N` nodes. All `[N]`."""

    right: Bools
    """Whether the step should be judged right, by the family's scope; true of the
    root."""
    sound: Bools
    """Whether it and all steps before it are right, so that a right end can still be
    reached."""
    answered: Bools
    """Whether it ends the thought with a right answer, however it was found."""

    @property
    def derived(self) -> Bools:
        """Whether it ends the thought with a right answer, and every step to it is
        right.
        """
        return self.sound & self.answered


def truth_of(tree: ReasoningTree, problem: Problem) -> Truth:
    """Returns the truth about every node; that of a step depends on the steps before it
    alone, so any leaf below it will do.
    """
    right, sound, answered = (
        np.ones(len(tree), bool),
        np.ones(len(tree), bool),
        np.zeros(len(tree), bool),
    )
    for leaf in tree.leaves():
        truths = problem.check_steps(texts_of(tree.path_steps(leaf)))
        for node, truth in zip(tree.path(leaf), truths, strict=True):
            right[node] = problem.verdict(truth)
            sound[node] = right[node] and sound[tree.parent[node]]
    for leaf in tree.answer_leaves():
        answered[leaf] = problem.is_correct(strip_markup(tree.step(leaf).answer or ""))
    return Truth(right, sound, answered)
