"""A long thought: a reasoning tree linearised, wrong turns included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types import Hidden

SegmentKind = Literal["step", "wrong", "reflect", "backtrack", "answer"]
"""`step`: a step on the path to the answer. `wrong`: a step of a wrong turn: known to
be wrong, or before or after such a step. `reflect`: a reflection on a wrong step.
`backtrack`: the mark that names the step to continue from; it ends a wrong turn.
`answer`: the step that marks the answer, always the last segment."""

ThoughtKind = Literal["journey", "shortcut"]
"""`journey`: with wrong turns, reflections and backtracks. `shortcut`: only the path
from the question to the answer."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a long thought. `node` is its source node; of a backtrack mark,
    the node that the thought returns to.
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
