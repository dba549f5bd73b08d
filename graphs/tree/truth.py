"""Labels every node of a reasoning tree by the exact checker of its family."""

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
    """The checker's labels of a tree of `N` nodes, `[N]` each."""

    right: Bools
    """Whether the step is right, by the scope of the family's verdicts; true for the
    root."""
    sound: Bools
    """Whether the step and all steps before it are right (the node is correct)."""
    answered: Bools
    """Whether the node is an answer leaf with a right answer, whatever its steps."""

    def first(self, size: int) -> Truth:
        """Returns the labels of the first `size` nodes."""
        return Truth(self.right[:size], self.sound[:size], self.answered[:size])

    @property
    def derived(self) -> Bools:
        """Whether the node is an answer leaf with a right answer and only right steps
        on its path.
        """
        return self.sound & self.answered


def truth_of(tree: ReasoningTree, problem: Problem) -> Truth:
    """Returns the labels of every node. The label of a step depends only on the steps
    before it, so it is the same for all leaves below.
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
