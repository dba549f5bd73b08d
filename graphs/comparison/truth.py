"""The exact truth about every node of a reasoning tree, and the part of a pool's tree that fewer samples would have made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.critics import Critic
from agents.families import Problem
from agents.nouns import Budget, Meter, Question
from graphs.thought.markup import strip_markup
from graphs.tree import ROOT, Event, Expanded, Judged, ReasoningTree

Bools = NDArray[np.bool_]


class Truth(NamedTuple):
    """What the family's checker says of a tree of `N` nodes. All `[N]`."""

    right: Bools
    """Whether the step should be judged right, by the family's scope; true of the root."""
    sound: Bools
    """Whether it and all steps before it are right, so that a right end can still be reached."""
    answered: Bools
    """Whether it ends the thought with a right answer, however it was found."""

    @property
    def derived(self) -> Bools:
        """Whether it ends the thought with a right answer, and every step to it is right."""
        return self.sound & self.answered


def truth_of(tree: ReasoningTree, problem: Problem) -> Truth:
    """Returns the truth about every node; each step is checked once, with the path to the first leaf below it."""
    right, known = np.ones(len(tree), bool), np.zeros(len(tree), bool)
    sound, answered = np.ones(len(tree), bool), np.zeros(len(tree), bool)
    known[ROOT] = True
    for leaf in tree.leaves():
        path = tree.path(leaf)
        if not path or known[leaf]:
            continue
        truths = problem.check_steps([tree.step(node).content.reveal().text for node in path])
        for node, truth in zip(path, truths, strict=True):
            right[node] = problem.verdict(truth)
            sound[node] = right[node] and sound[tree.parent[node]]
            known[node] = True
    for leaf in tree.finals():
        answered[leaf] = problem.is_correct(strip_markup(tree.step(leaf).answer or "").strip())
    return Truth(right, sound, answered)


def first_samples(events: Iterable[Event], k: int) -> list[Event]:
    """Returns the events of the first `k` samples of a pool, with the verdicts on their steps: what a pool of `k` would have been.

    Every sample of a pool begins at the question, so the nodes of the first samples are the first nodes, and keep their numbers.
    """
    kept: list[Event] = []
    size, left = 1, k
    nodes: dict[tuple[int, tuple[int, ...], str], int] = {}
    for event in events:
        if isinstance(event, Expanded):
            chains = event.chains[:left]
            left -= len(chains)
            if chains:
                kept.append(Expanded(event.parent, chains, event.horizon, event.mistakes))
            for chain in chains:
                node = event.parent
                for step in chain:
                    key = node, step.content.reveal().token_ids, step.finish_reason
                    if key not in nodes:
                        nodes[key], size = size, size + 1
                    node = nodes[key]
        elif isinstance(event, Judged) and event.node < size:
            kept.append(event)
    return kept


async def rejudged(question: Question, events: Sequence[Event], critic: Critic) -> ReasoningTree:
    """Returns the tree of the same samples, as another critic judges them; one that needs no model."""
    tree = ReasoningTree.replay(question, (event for event in events if isinstance(event, Expanded)))
    meter = Meter(Budget())
    for node in range(1, len(tree)):
        if tree.step(node).finish_reason == "stop":
            verdict = await critic.judge(question, tree.path_steps(node), meter=meter)
            if verdict is not None:
                tree.apply([Judged(node, verdict)])
    return tree
