"""Regret decomposition: what an unsolved question is lost to, by the exact truth about
every step of its tree.

A question is solved, or lost to exactly one of four:

- *selection*: a right answer was found, all steps to it right, and another one was
  given;
- else look at the deepest sound nodes (all steps to them right): how far the search
  came on a right path.
  - *proposal*: one of them was continued, and no continuation was right;
  - *budget*: none was continued, and one of them was there only when the search ended,
    by its own N or by a cap;
  - *pruning*: the search could have continued any of them, and went on elsewhere.

A search goes in rounds: everything that is asked for before somebody judges, or before
a new node is continued, is one round. A node was passed over when some other node was
continued in a later round than its own. What became of shallower sound nodes does not
count: a search that kept one right path and lost it further down did not lose the
question where it dropped another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from agents.types import Question
from graphs.tree import ROOT, Event, Expanded, Failed, ReasoningTree
from graphs.tree.truth import Truth

Cause = Literal["solved", "selection", "pruning", "proposal", "budget"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


def attribute(tree: ReasoningTree, truth: Truth, events: Sequence[Event], *, solved: bool) -> Cause:
    """Returns what became of a question.

    Args:
        tree: what `events` make.
        truth: about its nodes.
        events: of the search, or of the part of it that is looked at.
        solved: whether the answer that was given is right.
    """
    if solved:
        return "solved"
    if truth.derived.any():
        return "selection"
    deepest = tree.depth[truth.sound].max()
    frontier = np.flatnonzero(truth.sound & (tree.depth == deepest)).tolist()
    if any(tree.children[node] for node in frontier):
        return "proposal"
    rounds, last_round = _rounds(tree.question, events)
    return "pruning" if all(rounds[node] < last_round for node in frontier) else "budget"


def _rounds(question: Question, events: Sequence[Event]) -> tuple[list[int], int]:
    """Returns the round that made each node, and the last round in which any node was
    continued.
    """
    tree = ReasoningTree(question)
    rounds = [0]
    now, expanding = 0, False
    for event in events:
        if isinstance(event, Expanded):
            if not expanding or (event.parent != ROOT and rounds[event.parent] == now):
                now += 1
            expanding = True
        elif not isinstance(event, Failed):
            expanding = False
        tree.apply([event])
        rounds += [now] * (len(tree) - len(rounds))
    return rounds, now
