"""Loss attribution: assigns a cause to every unsolved question, by the exact labels of
the steps of its tree.

A question is solved, or lost to exactly one of four causes:

- *selection*: the tree has a right answer with only right steps, and another answer was
  given;
- else the deepest correct nodes (all steps up to them right) decide:
  - *proposal*: one of them was expanded, and no child was right;
  - *budget*: none was expanded, and one of them was created in the last round, before
    the search ended by its own N or by a cap;
  - *pruning*: none was expanded, although the search expanded other nodes later.

A round is the sequence of expansions before the next verdict or before a node of the
same round is expanded. A node was pruned if another node was expanded in a later round
than its own. Shallower correct nodes do not count: a search that kept one right path
and lost it further down did not lose the question by pruning another.
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
    """Returns the cause of one question.

    Args:
        tree: the tree after `events`.
        truth: labels of its nodes.
        events: event log of the search, or a prefix of it.
        solved: whether the given answer is right.
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
    """Returns the round in which each node was created, and the last round with an
    expansion.
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
