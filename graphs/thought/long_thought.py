"""A long thought: the linear reading of a reasoning tree, wrong turns included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types import Hidden

SegmentKind = Literal["step", "wrong", "reflect", "backtrack", "answer"]
"""`step`: a step on the way to the answer. `wrong`: a step of a wrong turn: known to be
wrong, leading to one that is, or following from one. `reflect`: what was said about a
wrong step. `backtrack`: the mark that says where the thought goes on; it ends a wrong
turn. `answer`: the step that marks the answer, always the last segment."""

ThoughtKind = Literal["journey", "shortcut"]
"""`journey`: with trials, reflections and backtracks. `shortcut`: the path from the
question to the answer alone."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a long thought. Every piece points at the node that it comes from; a
    backtrack mark at the node that it returns to.
    """

    kind: SegmentKind
    node: int
    text: Hidden[str]
    factor: str | None = None
    """Thought factor of a step; None for reflections and marks."""


@dataclass(frozen=True, slots=True)
class LongThought:
    """Segments in reading order; the last one is the answer where there is one."""

    segments: tuple[Segment, ...]
    kind: ThoughtKind
