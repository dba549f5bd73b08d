"""Derives a long thought from a reasoning tree by the depth-first traversal of O1
Journey.

The thought follows the path from the question to the answer. Before a step of the path
it may take a *wrong turn*: try a wrong sibling, reflect on it and backtrack. A journey
has wrong turns, a shortcut has none. A wrong turn is a chain of nodes below a node of
the path, without branches, rendered as

    wrong, wrong, ...    a sibling of the path's next step, and at most `off_path_depth`
                         steps below it
    reflect, ...         one for each step of the turn that is known to be wrong, with
                         the critic's reason
    backtrack            the mark that names the step to continue from

Two laws follow, and are tested: without its wrong turns a journey is the shortcut of
the same tree, and applying its backtrack marks gives that shortcut, too.

A step is *known to be wrong* if its parsed verdicts are against it or the reflector
backtracked over it. A verdict that could not be parsed is no evidence. A reflection is
the critic's reason, else the reflector's text, else a plain sentence that only names
the step.

Source: O1 Replication Journey (arXiv:2410.18982), section "From Reasoning Tree to Long
Thoughts". We choose among wrong siblings at random instead of taking the first, and
leave out the rewriting of the draft by a larger model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agents.answers import canonical
from agents.types import Hidden, Verdict
from graphs.thought.long_thought import LongThought, Segment, SegmentKind
from graphs.tree import ROOT, ReasoningTree


@dataclass(frozen=True, slots=True)
class Wording:
    """Templates of reflections and marks; `step` is counted along the current path from
    1, and 0 is the question.

    The defaults are the wording of the mistakes that the policy is shown during search
    (agents/prompts), so that training and search agree.
    """

    mistake: str = "Wait, step {step} is wrong."
    """For a wrong step without a reason."""
    mistake_because: str = "Wait, step {step} is wrong: {reason}"
    """For a wrong step with the critic's reason."""
    dead_end: str = "Step {step} leads no further."
    """For a step without a verdict against it that the reflector backtracked over
    without a text."""
    backtrack: str = "Back to step {step}."


def derive_shortcut(tree: ReasoningTree, leaf: int | None) -> LongThought:
    """Returns the path to `leaf`; if that is None, the path to the best open node (see
    `best_open_node`).

    Raises:
        ValueError: `leaf` marks no answer.
    """
    return LongThought(
        tuple(_segment(tree, node, is_answer=node == leaf) for node in _path(tree, leaf)),
        "shortcut",
    )


def derive_journey(
    tree: ReasoningTree,
    leaf: int | None,
    *,
    rng: random.Random,
    wrong_trials: int = 1,
    right_trials: int = 1,
    off_path_depth: int = 1,
    wording: Wording | None = None,
) -> LongThought:
    """Returns the long thought that leads to `leaf`, wrong turns included.

    Args:
        leaf: the answer leaf. None: the journey ends at the best open node, after the
            wrong turns at that node, without an answer segment.
        rng: chooses among wrong siblings and among the children of a node off the path.
        wrong_trials: maximum number of children known to be wrong that are tried at
            each node of the path.
        right_trials: maximum number of children not known to be wrong that are tried:
            the last one is that of the path, those before it are dead ends, which reach
            a node known to be wrong within `off_path_depth` steps.
        off_path_depth: maximum number of further steps of a wrong turn, each to one
            random child.
        wording: templates of reflections and marks.

    Wrong turns at one node are in order of creation of their first steps. No two of
    them, and none and the next step of the path, begin with the same text, and none
    states the answer of `leaf`: a thought must not call a step wrong and then take it.

    Raises:
        ValueError: `leaf` marks no answer, or a count is out of range.
    """
    if wrong_trials < 0 or right_trials < 1 or off_path_depth < 0:
        raise ValueError(
            f"wrong_trials ({wrong_trials}) and off_path_depth ({off_path_depth}) must be at "
            f"least 0 and right_trials ({right_trials}) at "
            "least 1: the step that leads to the answer is the last right trial"
        )
    path = _path(tree, leaf)
    turns = _WrongTurns(tree, None if leaf is None else tree.step(leaf).answer, rng, off_path_depth)
    renderer = _TurnRenderer(tree, wording or Wording())
    segments: list[Segment] = []
    for node, following in zip([ROOT, *path], [*path, None], strict=True):
        if node == leaf:
            break
        for turn in turns.below(
            node, beside=following, wrong_trials=wrong_trials, dead_ends=right_trials - 1
        ):
            segments += renderer.turn(turn, known_wrong=turns.known_wrong, back_to=node)
        if following is not None:
            segments.append(_segment(tree, following, is_answer=following == leaf))
    return LongThought(tuple(segments), "journey")


def known_wrong(tree: ReasoningTree) -> frozenset[int]:
    """Returns the nodes whose verdicts are against them or that the reflector
    backtracked over, never the root.
    """
    return frozenset(
        int(node) for node in np.flatnonzero(tree.wrong() | tree.backtracked) if node != ROOT
    )


def reason_against(tree: ReasoningTree, node: int) -> str:
    """Returns the reasons of all verdicts against the step at `node`, one per line; ""
    without any.

    Search shows this text to the policy with the mistake, and journeys and training
    data contain it, so that all three agree.
    """
    return "\n".join(
        _distinct(
            [
                verdict.reason.reveal()
                for verdict in _against(tree, node)
                if verdict.reason is not None
            ]
        )
    )


def best_open_node(tree: ReasoningTree) -> int:
    """Returns the deepest node that is not terminal and has no step known to be wrong
    on its path.

    Ties go to the best path score, then to the oldest node. Returns the root if every
    first step is wrong.
    """
    wrong = known_wrong(tree)
    is_correct = [True] * len(tree)
    best, best_rank = ROOT, (0, 0.0)
    for node in range(1, len(tree)):  # a parent's number is always smaller than its child's
        is_correct[node] = is_correct[int(tree.parent[node])] and node not in wrong
        if is_correct[node] and not tree.terminal[node] and tree.depth[node] >= best_rank[0]:
            rank = (int(tree.depth[node]), tree.path_score(node))
            if rank > best_rank:
                best, best_rank = node, rank
    return best


def _path(tree: ReasoningTree, leaf: int | None) -> list[int]:
    if leaf is None:
        return tree.path(best_open_node(tree))
    if not 0 < leaf < len(tree) or not tree.answered[leaf]:
        raise ValueError(
            f"node {leaf} marks no answer; pass one of tree.answer_leaves(), or None for a thought "
            "without an answer"
        )
    return tree.path(leaf)


def _segment(
    tree: ReasoningTree, node: int, *, is_answer: bool = False, is_wrong: bool = False
) -> Segment:
    step = tree.step(node)
    kind: SegmentKind = "answer" if is_answer else "wrong" if is_wrong else "step"
    return Segment(
        kind,
        node,
        Hidden(step.content.reveal().text),
        step.factor,
        is_cut=step.finish_reason == "length" and bool(tree.children[node]),
    )


class _WrongTurns:
    """Samples the wrong turns of one journey."""

    def __init__(
        self, tree: ReasoningTree, answer: str | None, rng: random.Random, off_path_depth: int
    ) -> None:
        self.tree = tree
        self.answer = self._form(answer)
        self.rng = rng
        self.off_path_depth = off_path_depth
        self.known_wrong = known_wrong(tree)

    def below(
        self, node: int, *, beside: int | None, wrong_trials: int, dead_ends: int
    ) -> Iterator[list[int]]:
        """Yields the wrong turns at the node `node` of the path before its next step
        `beside`, oldest first.
        """
        texts_used = {self._text(beside)} if beside is not None else set()
        starts: list[int] = []
        # of twins, the one known to be wrong
        for child in sorted(self._children(node), key=lambda child: child not in self.known_wrong):
            if self._text(child) not in texts_used:
                texts_used.add(self._text(child))
                starts.append(child)
        wrong = [child for child in starts if child in self.known_wrong]
        turns = [
            self._descend(start) for start in self.rng.sample(wrong, min(wrong_trials, len(wrong)))
        ]
        if dead_ends > 0:
            promising = [
                self._descend(start, until_wrong=True)
                for start in starts
                if start not in self.known_wrong
            ]
            ended_wrong = [turn for turn in promising if turn[-1] in self.known_wrong]
            turns += self.rng.sample(ended_wrong, min(dead_ends, len(ended_wrong)))
        yield from sorted(turns)

    def _descend(self, start: int, *, until_wrong: bool = False) -> list[int]:
        turn = [start]
        while len(turn) <= self.off_path_depth and not (
            until_wrong and turn[-1] in self.known_wrong
        ):
            children = self._children(turn[-1])
            if not children:
                break
            turn.append(self.rng.choice(children))
        return turn

    def _text(self, node: int) -> str:
        return self.tree.step(node).content.reveal().text.strip()

    def _form(self, answer: str | None) -> str | None:
        """Returns the canonical form of an answer, as in votes: "1,000" and "$1000" are
        one answer.
        """
        return None if answer is None else canonical(answer, task=self.tree.question.task)

    def _children(self, node: int) -> list[int]:
        """Returns the children that may be in a wrong turn: those with a text that do
        not state the answer.
        """
        return [
            child
            for child in self.tree.children[node]
            if self._text(child)
            and (self.answer is None or self._form(self.tree.step(child).answer) != self.answer)
        ]


class _TurnRenderer:
    """Renders wrong turns as segments."""

    def __init__(self, tree: ReasoningTree, wording: Wording) -> None:
        self.tree = tree
        self.wording = wording
        self._backtrack_texts: dict[int, list[str]] = {}
        for node, reflections in enumerate(tree.reflections):
            for reflection in reflections:
                if reflection.action == "backtrack":
                    abandoned = tree.abandoned(node, reflection.target_step)
                    self._backtrack_texts.setdefault(abandoned, []).append(reflection.text.reveal())

    def turn(
        self, turn: list[int], *, known_wrong: frozenset[int], back_to: int
    ) -> Iterator[Segment]:
        """Yields the segments of one wrong turn."""
        for node in turn:
            yield _segment(self.tree, node, is_wrong=True)
        for node in turn:
            if node in known_wrong:
                yield Segment("reflect", node, Hidden(self._reflection(node)))
        yield Segment(
            "backtrack",
            back_to,
            Hidden(self.wording.backtrack.format(step=self.tree.depth[back_to])),
        )

    def _reflection(self, node: int) -> str:
        step = int(self.tree.depth[node])
        if reason := reason_against(self.tree, node):
            return self.wording.mistake_because.format(step=step, reason=reason)
        texts = _distinct(
            [reflection.text.reveal() for reflection in self.tree.reflections[node]]
            + self._backtrack_texts.get(node, [])
        )
        if texts:
            return "\n".join(texts)
        return (
            self.wording.mistake if _against(self.tree, node) else self.wording.dead_end
        ).format(step=step)


def _against(tree: ReasoningTree, node: int) -> list[Verdict]:
    return [verdict for verdict in tree.verdicts[node] if verdict.is_wrong]


def _distinct(texts: list[str]) -> list[str]:
    """Returns the stripped texts in order, without empty ones and repetitions."""
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
