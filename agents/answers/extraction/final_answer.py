"""The final answer of a text: one function for search, evaluation, rewards and users.

A marked answer is the last explicit mark (listed in `agents.answers.extraction.marks`),
else the last sentence "the answer is X"; the last number alone is never taken. A mark
that is cut off at the end of the text invalidates the earlier ones. Think blocks are
ignored, and a text that ends inside one has no answer. The result is the model's
wording; `canonical` normalizes it for comparison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.answers.extraction.answer_words import (
    CLOSING,
    CONCLUSION,
    HINT,
    PRESENTING,
    REMARK,
    SALUTATION,
    SIGN_OFF,
)
from agents.answers.extraction.marks import find_mark, is_heading
from agents.answers.extraction.think_blocks import clean, hide_think_blocks

SEPARATOR = "\n\n"
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
_ITEM = re.compile(
    r"\s*(?:#{1,6}\s+)?(?:[*_]{2})?"
    r"(?:[-*+•]\s|\d{1,3}[.)]\s|[a-z][.)]\s|(?:step|day|week|part|phase|schritt|tag|étape|jour|paso|día)\s\d)",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"\s*(?:#{1,6} (?!\W*step\b)[^\n]+|(?:\*\*|__)(?!\W*step\b)[^*_\n]+(?:\*\*|__):?)\s*",
    re.IGNORECASE,
)
_LONGEST_SIGN_OFF = 120
_SENTENCE_END = re.compile(r"[.!?。！？]\s|\n")
_WORDS = re.compile(r"(?<![</\w])\w")  # except the names of tags
_CHARACTERS_OF_CODE = re.compile(r"[^\n]")


class MarkedAnswer(NamedTuple):
    """A marked answer and its place."""

    piece: int
    """Index of the piece of text in which the value ends."""
    value: str


def final_answer(text: str, *, marked: bool = True) -> str | None:
    """Returns the final answer of a finished completion, or None.

    Args:
        marked: True: only a marked answer counts. False: without a mark the answer is
            the last non-empty block: a paragraph; a list with its introductory line; a
            fenced block with its introductory line and the remarks below. A letter,
            sections under titles and a presented list ("Here are ...:") are returned
            whole, and marks in code are ignored.
    """
    if marked:
        answer = marked_answer([text])
        return None if answer is None else answer.value
    visible = hide_think_blocks(clean(text))
    if visible is None:
        return None
    mark = find_mark(_without_code(visible))
    return mark.value if mark is not None else _last_block(visible)


def whole_reply(text: str) -> str | None:
    """Returns the answer of a free-form reply; None if nothing of the reply is visible.

    If the reply ends with a mark (an explicit one, or "the answer is X" as its only
    sentence), that is the answer. Else it is all text outside of think blocks, so that
    no paragraph of a poem or an explanation is lost.
    """
    visible = hide_think_blocks(clean(text))
    if visible is None:
        return None
    visible = visible.strip()
    mark = find_mark(_without_code(visible), with_sentences=_SENTENCE_END.search(visible) is None)
    if mark is not None:
        begin = visible.rfind(mark.value, 0, mark.end)
        behind = visible[begin + len(mark.value) if begin >= 0 else mark.end :]
        if _WORDS.search(behind) is None:
            return mark.value
    return visible or None


def marked_answer(pieces: Sequence[str], *, is_cut: bool = False) -> MarkedAnswer | None:
    """Returns the marked answer of a text in pieces, such as the steps of a thought.

    Args:
        is_cut: whether the last piece was cut off; a value that reaches its end is then
            unfinished.
    """
    if not any(HINT.search(piece.lower()) or not piece.isascii() for piece in pieces):  # most texts
        return None
    cleaned = [clean(piece) for piece in pieces]
    visible = hide_think_blocks(SEPARATOR.join(cleaned))
    mark = None if visible is None else find_mark(visible, is_cut=is_cut)
    if mark is None:
        return None
    end = -len(SEPARATOR)
    for number, piece in enumerate(cleaned):
        end += len(SEPARATOR) + len(piece)
        if mark.end <= end:
            return MarkedAnswer(number, mark.value)
    raise AssertionError("unreachable: a mark ends inside the text")


def _without_code(text: str) -> str:
    """Returns the text with each character of fenced blocks replaced by a blank."""
    parts: list[str] = []
    kept, opened = 0, ""
    for fence in _FENCE.finditer(text):
        if not opened:
            parts.append(text[kept : fence.start()])
            kept, opened = fence.start(), fence[1]
        elif fence[1].startswith(opened):
            parts.append(_CHARACTERS_OF_CODE.sub(" ", text[kept : fence.end()]))
            kept, opened = fence.end(), ""
    last = text[kept:]
    return "".join([*parts, _CHARACTERS_OF_CODE.sub(" ", last) if opened else last])


def _blocks(text: str) -> list[str]:
    """Splits a text at blank lines, except inside fenced blocks."""
    blocks: list[list[str]] = [[]]
    fence = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence and not line.strip():
            blocks.append([])
            continue
        if match is not None and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
        blocks[-1].append(line)
    return ["\n".join(block).rstrip() for block in blocks if any(line.strip() for line in block)]


def _last_block(text: str) -> str | None:
    blocks = _blocks(text)
    while len(blocks) > 1 and CLOSING.match(blocks[-1]):
        blocks.pop()
    if not blocks:
        return None
    if (begin := _begin_of_document(blocks)) is not None:
        return SEPARATOR.join(blocks[begin:]).strip() or None
    begin = len(blocks) - 1
    fenced = [number for number, block in enumerate(blocks) if _FENCE.search(block)]
    if fenced:
        begin = fenced[-1]
    while begin > 0 and _is_in_list(blocks, begin) and _is_in_list(blocks, begin - 1):
        begin -= 1
    while (
        begin > 0 and (fenced or _is_in_list(blocks, begin)) and _introduces_next(blocks[begin - 1])
    ):
        begin -= 1
        if begin - 1 not in fenced:
            break
        begin -= 1  # "First install it: ..., then run it: ..."
    return SEPARATOR.join(blocks[begin:]).strip() or None


def _begin_of_document(blocks: list[str]) -> int | None:
    """Returns the index of the first block of a letter, of sections under titles, or of
    a presented list with a remark below; None if the text ends with none of these, or
    with a conclusion.
    """
    last = len(blocks) - 1
    if last == 0:
        return None
    if (
        any(SIGN_OFF.match(block) and len(block) < _LONGEST_SIGN_OFF for block in blocks[-2:])
        and len(blocks[-1]) < _LONGEST_SIGN_OFF
    ):
        return next((number for number, block in enumerate(blocks) if SALUTATION.match(block)), 0)
    if CONCLUSION.match(blocks[-1]):
        return None
    if REMARK.match(blocks[-1]) and _is_in_list(blocks, last - 1):
        begin = last - 1
        while begin > 0 and _is_in_list(blocks, begin - 1):
            begin -= 1
        return begin - 1 if begin > 0 and _introduces_next(blocks[begin - 1]) else begin
    titles = [number for number, block in enumerate(blocks) if _is_title(block)]
    if len(titles) > 1:
        begin = titles[0]
        return begin - 1 if begin > 0 and _introduces_next(blocks[begin - 1]) else begin
    begin = last - 1
    while begin > 0 and _is_in_list(blocks, begin):
        begin -= 1
    if (
        begin < last - 1
        and not _is_in_list(blocks, last)
        and _introduces_next(blocks[begin])
        and PRESENTING.search(blocks[begin])
    ):
        return begin
    return None


def _is_title(block: str) -> bool:
    """Whether a block is a one-line title ("## Sunday", "**Day 1**"), but not of a step
    or an answer.
    """
    return _TITLE.fullmatch(block) is not None and not is_heading(block)


def _is_in_list(blocks: list[str], number: int) -> bool:
    """Whether a block is an item of a list, is indented below one, or follows an item's
    title.
    """
    block = blocks[number]
    if _ITEM.match(block) or block.startswith((" ", "\t")):
        return True
    title = blocks[number - 1] if number > 0 else ""
    return (
        _ITEM.match(title) is not None
        and "\n" not in title
        and (title.startswith("#") or title.endswith((":", "*", "_")))
    )


def _introduces_next(block: str) -> bool:
    line = block.rstrip("*_ \n").rpartition("\n")[2]
    return line.endswith((":", "：")) and not is_heading(line)
