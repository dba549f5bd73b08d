"""A long thought: a reasoning tree linearised, wrong turns included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agents.types import Hidden
from agents.types.added import ADDED

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
    is_cut: bool = field(default=False, metadata=ADDED)
    """Whether the step was cut at policy.max_step_tokens, so that the next step
    continues its text, in the middle of a sentence if need be."""


@dataclass(frozen=True, slots=True)
class LongThought:
    """Segments in reading order; the last one is the answer where there is one."""

    segments: tuple[Segment, ...]
    kind: ThoughtKind


def sentences_of(segments: Iterable[Segment]) -> list[Sequence[Segment]]:
    """Returns the segments in groups: a cut step and the steps that continue it are one
    group, every other segment is one of its own.
    """
    groups: list[list[Segment]] = []
    is_cut = False
    for segment in segments:
        is_step = segment.kind in ("step", "wrong", "answer")
        if is_cut and is_step:
            groups[-1].append(segment)
        else:
            groups.append([segment])
        is_cut = segment.is_cut
    return list(groups)
