"""From a reasoning tree to a long thought: the depth-first derivation of the O1
Journey.

The thought walks the path from the question to the answer. Before it takes a step of
the path it may try a wrong one beside it, notice, say what was wrong, and go back;
these *wrong turns* are what distinguishes a journey from a shortcut. A wrong turn is
one chain of nodes below a node of the path (it never branches), told as

    wrong, wrong, ...    the turn's steps: it starts beside the path and goes on
                         downwards for at most `off_path_depth` steps
    reflect, ...         one for each step of the turn that is known to be wrong, with
                         the judge's reason
    backtrack            the mark that names the step at which the thought goes on

Two laws follow, and are tested: what remains without the segments of wrong turns is the
shortcut of the same tree, and a reader who obeys the backtrack marks ends with it, too.

A step is *known to be wrong* when verdicts with a number in them speak against it, or
when the reflector gave it up. A verdict that could not be read makes nothing wrong.
Nothing is invented: a reflection is the judge's reason, else what the reflector said,
else a plain sentence that names the step and no more.

Source: O1 Replication Journey (arXiv:2410.18982), section "From Reasoning Tree to Long
Thoughts". We choose among several wrong siblings at random instead of taking the first,
and leave the smoothing of the draft by a larger model to whoever trains on it.
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
    """The thought's own words, as templates; `step` is counted along the current line
    from 1, and 0 is the question.

    The default is what the policy is shown of its mistakes during search
    (agents/prompts), so that training and search agree.
    """

    mistake: str = "Wait, step {step} is wrong."
    """Where nothing more is known."""
    mistake_because: str = "Wait, step {step} is wrong: {reason}"
    """With the judge's reason."""
    dead_end: str = "Step {step} leads no further."
    """For a step that the reflector gave up without a word and no judge held to be
    wrong."""
    backtrack: str = "Back to step {step}."


def derive_shortcut(tree: ReasoningTree, leaf: int | None) -> LongThought:
    """Returns the path to `leaf` alone; without an answer, the path to the best open
    node (see `best_open_node`).

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
        leaf: the node that marks the answer. None: there is no answer; the journey ends
            at the best open node, after the wrong turns that were tried there, and
            without an answer segment.
        rng: chooses among wrong siblings and among the children of a node off the path.
        wrong_trials: how many children that are known to be wrong are tried, at most,
            at each node of the path.
        right_trials: how many children that look right are tried, at most: the last one
            is that of the path, those before it are dead ends, which within
            `off_path_depth` steps come to a node that is known to be wrong.
        off_path_depth: how many further steps a wrong turn may go, each to one random
            child.
        wording: words of the plain sentences.

    Wrong turns at one node are told in the order in which the search made their first
    steps. None begins with the words of another or of the step that follows, and none
    states the answer of `leaf`: a thought that calls wrong what it then does teaches
    nothing.

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
    told = _Telling(tree, wording or Wording())
    segments: list[Segment] = []
    for node, following in zip([ROOT, *path], [*path, None], strict=True):
        if node == leaf:
            break
        for turn in turns.below(
            node, beside=following, wrong_trials=wrong_trials, dead_ends=right_trials - 1
        ):
            segments += told.turn(turn, known_wrong=turns.known_wrong, back_to=node)
        if following is not None:
            segments.append(_segment(tree, following, is_answer=following == leaf))
    return LongThought(tuple(segments), "journey")


def known_wrong(tree: ReasoningTree) -> frozenset[int]:
    """Returns the nodes that verdicts speak against or that the reflector gave up. The
    question is never wrong.
    """
    return frozenset(
        int(node) for node in np.flatnonzero(tree.wrong() | tree.backtracked) if node != ROOT
    )


def reason_against(tree: ReasoningTree, node: int) -> str:
    """Returns what judges wrote against the step at `node`, one after another; "" when
    none did.

    Search shows it to the policy beside the mistake, a journey tells it, and training
    teaches it: all three in these words.
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
    """Returns how far a thought without an answer came: the deepest node that ends no
    thought and has nothing wrong on its path.

    Of several the one with the best path score, then the oldest; the root when every
    first step is wrong.
    """
    wrong = known_wrong(tree)
    sound = [True] * len(tree)
    best, best_rank = ROOT, (0, 0.0)
    for node in range(1, len(tree)):  # a parent's number is always smaller than its child's
        sound[node] = sound[int(tree.parent[node])] and node not in wrong
        if sound[node] and not tree.terminal[node] and tree.depth[node] >= best_rank[0]:
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
    return Segment(kind, node, Hidden(step.content.reveal().text), step.factor)


class _WrongTurns:
    """Chooses the wrong turns of one journey."""

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
        """Yields the turns that are taken at `node` of the path before the step
        `beside`, oldest first.
        """
        told = {self._text(beside)} if beside is not None else set()
        starts: list[int] = []
        # of twins, the one known to be wrong
        for child in sorted(self._children(node), key=lambda child: child not in self.known_wrong):
            if self._text(child) not in told:
                told.add(self._text(child))
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
        """Returns the form by which votes are counted, too: "1,000" and "$1000" are one
        answer.
        """
        return None if answer is None else canonical(answer, task=self.tree.question.task)

    def _children(self, node: int) -> list[int]:
        """Children that may be told as wrong: all but those that state the answer, and
        those that say nothing.
        """
        return [
            child
            for child in self.tree.children[node]
            if self._text(child)
            and (self.answer is None or self._form(self.tree.step(child).answer) != self.answer)
        ]


class _Telling:
    """Puts wrong turns into words."""

    def __init__(self, tree: ReasoningTree, wording: Wording) -> None:
        self.tree = tree
        self.wording = wording
        self._given_up_by: dict[int, list[str]] = {}
        for node, reflections in enumerate(tree.reflections):
            for reflection in reflections:
                if reflection.action == "backtrack":
                    abandoned = tree.abandoned(node, reflection.target_step)
                    self._given_up_by.setdefault(abandoned, []).append(reflection.text.reveal())

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
        said = _distinct(
            [reflection.text.reveal() for reflection in self.tree.reflections[node]]
            + self._given_up_by.get(node, [])
        )
        if said:
            return "\n".join(said)
        return (
            self.wording.mistake if _against(self.tree, node) else self.wording.dead_end
        ).format(step=step)


def _against(tree: ReasoningTree, node: int) -> list[Verdict]:
    return [
        verdict
        for verdict in tree.verdicts[node]
        if verdict.outcome == "judged" and not verdict.is_right
    ]


def _distinct(texts: list[str]) -> list[str]:
    """Returns the texts without blanks around them, empty ones and repetitions left
    out, in order.
    """
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
