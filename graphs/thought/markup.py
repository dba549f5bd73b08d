"""Renders a long thought as text with mark-up around the thought and around each
segment, and parses it.

    <thought kind="journey">
    <act kind="wrong" node="1" factor="compute">3 + 7 = 11</act>
    <act kind="reflect" node="1">Wait, step 1 is wrong: 3 + 7 is 10</act>
    ...
    </thought>

Text is unchanged, except that a backslash is inserted after the "<" of anything that
looks like this mark-up, also if it has backslashes already. `parse` inverts `render`
for every thought.

Text for the user passes `agents.safety.visible_text`, which strips this mark-up and the
special tokens of common models.

Source: Reverse-o1 (Zhang Junlin, 2024): start and end tokens around the hidden thought
and around every thought factor, all filtered before the answer is shown.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, get_args

from agents.safety.visible_text import strip_markup
from agents.types import Hidden
from graphs.thought.long_thought import (
    LongThought,
    Segment,
    SegmentKind,
    ThoughtKind,
    sentences_of,
)

_OWN_TAG = re.compile(r"<(\\*)(?=/?(?:thought|act)\b)", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"<\\(\\*)(?=/?(?:thought|act)\b)", re.IGNORECASE)
_END_OF_ACT = "</act>"
_END_OF_THOUGHT = "</thought>"

_CUT = ' cut="true"'

_NODE = re.compile(r'(?:0|[1-9][0-9]{0,17})(?=")')


class MarkupError(ValueError):
    """The text is not a rendered thought. `position`: offset of the error, in
    characters. The message quotes none of the text.
    """

    def __init__(self, text: str, position: int, expected: str) -> None:
        line = text.count("\n", 0, position) + 1
        column = position - (text.rfind("\n", 0, position) + 1) + 1
        super().__init__(
            f"no rendered thought: {expected} expected at character {position} (line {line}, "
            f"column {column})"
        )
        self.position = position


def render(thought: LongThought) -> Hidden[str]:
    """Returns the thought with its mark-up."""
    lines = [f'<thought kind="{thought.kind}">']
    for segment in thought.segments:
        factor = "" if segment.factor is None else f" factor={_quoted(segment.factor)}"
        text = _OWN_TAG.sub(r"<\\\1", segment.text.reveal())
        lines.append(
            f'<act kind="{segment.kind}" node="{segment.node}"{_CUT if segment.is_cut else ""}'
            f"{factor}>{text}{_END_OF_ACT}"
        )
    return Hidden("\n".join([*lines, _END_OF_THOUGHT]))


def parse(text: str) -> LongThought:
    """Returns the thought that `render` was given.

    Raises:
        MarkupError: the text is malformed; names the position.
    """
    reader = _Reader(text)
    reader.take("<thought kind=")
    kind: ThoughtKind = reader.take_one_of(get_args(ThoughtKind))
    reader.take(">\n")
    segments = []
    while not reader.at(_END_OF_THOUGHT):
        segments.append(reader.segment())
        reader.take("\n")
    reader.take(_END_OF_THOUGHT)
    if reader.position != len(text):
        raise reader.error("the end of the text")
    return LongThought(tuple(segments), kind)


def kept_steps(thought: LongThought, *, with_answer: bool = False) -> list[Hidden[str]]:
    """Returns the plain text of each step outside wrong turns, without mark-up; with
    `with_answer`, the answer segment too. A step that was cut is one text with its
    continuation.
    """
    kinds = ("step", "answer") if with_answer else ("step",)
    kept = [segment for segment in thought.segments if segment.kind in kinds]
    return [
        Hidden(strip_markup("".join(segment.text.reveal() for segment in group)))
        for group in sentences_of(kept)
    ]


def readable(thought: LongThought) -> str:
    """Returns the thought as plain numbered text for the audit view; reveals hidden
    text.

    Steps are numbered along the current path, which matches the numbers in the
    backtrack marks. `✗` is a wrong step, `~` a reflection, `↩` a backtrack, `=` the
    answer.
    """
    lines: list[str] = []
    kept = wrong = 0
    for segment in thought.segments:
        text = strip_markup(segment.text.reveal()).replace("\n", "\n       ")
        match segment.kind:
            case "step" | "answer":
                kept += 1
                lines.append(f"{kept:3}. {'=' if segment.kind == 'answer' else ' '} {text}")
            case "wrong":
                wrong += 1
                lines.append(f"{kept + wrong:3}. ✗ {text}")
            case "reflect":
                lines.append(f"     ~ {text}")
            case "backtrack":
                wrong = 0
                lines.append(f"     ↩ {text}")
    return "\n".join(lines)


def _quoted(factor: str) -> str:
    return json.dumps(factor, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


class _Reader:
    """Parses a rendered thought from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def error(self, expected: str) -> MarkupError:
        return MarkupError(self.text, self.position, expected)

    def at(self, literal: str) -> bool:
        return self.text.startswith(literal, self.position)

    def take(self, literal: str) -> None:
        if not self.at(literal):
            raise self.error(json.dumps(literal))
        self.position += len(literal)

    def take_one_of(self, choices: tuple[Any, ...]) -> Any:
        for choice in choices:
            if self.at(f'"{choice}"'):
                self.take(f'"{choice}"')
                return choice
        raise self.error(" or ".join(f'"{choice}"' for choice in choices))

    def segment(self) -> Segment:
        self.take("<act kind=")
        kind: SegmentKind = self.take_one_of(get_args(SegmentKind))
        self.take(' node="')
        node = _NODE.match(self.text, self.position)
        if node is None:
            raise self.error("a node's number")
        self.position = node.end()
        self.take('"')
        is_cut = self.at(_CUT)
        if is_cut:
            self.take(_CUT)
        factor = self._factor() if self.at(" ") else None
        self.take(">")
        end = self.text.find(_END_OF_ACT, self.position)
        if end < 0:
            raise self.error(f"a text that ends with {_END_OF_ACT}")
        text = self.text[self.position : end]
        self.position = end
        self.take(_END_OF_ACT)
        return Segment(
            kind, int(node.group()), Hidden(_ESCAPED_TAG.sub(r"<\1", text)), factor, is_cut
        )

    def _factor(self) -> str:
        self.take(" factor=")
        if self.at('"'):
            with contextlib.suppress(json.JSONDecodeError):
                factor, self.position = json.JSONDecoder().raw_decode(self.text, self.position)
                return str(factor)
        raise self.error("a factor's name in double quotes")
