"""Removes special tokens and think blocks from a model's text.

A think block is `<think>...</think>` in any of the spellings that models use. A lone
`</think>` closes a block that the chat template opened in the prompt. Of messages in
channels, all but `final` are think blocks. Tags in backticks are plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.safety.think_delimiters import BARE_HEADER, HEADER, TAG_NAMES
from agents.safety.visible_text import without_controls

_TOKEN = r"[^<>|｜\s]{0,20}?(?:think|thought|reasoning)[^<>|｜\s]{0,20}?"
_TAG = (
    rf"<\s?(?P<slash>[/\\]{{0,2}})\s?(?:{TAG_NAMES})(?:\s[^<>]{{0,100}}|/)?>"
    rf"|<[|｜](?P<slash_2>/|end|stop|close)?{_TOKEN}(?P<slash_5>[_-]end)?[|｜]>|{HEADER}"
    r"|\[(?P<slash_3>/?)THINK(?:ING)?\]|◁(?P<slash_4>/?)think(?:ing)?▷"
)
_TAGS = re.compile(_TAG, re.IGNORECASE)
_TAGS_AND_BARE_HEADERS = re.compile(rf"{_TAG}|{BARE_HEADER}", re.IGNORECASE)  # slower
_SPECIAL = re.compile(
    rf"(?P<header>{HEADER})|<[|｜](?!(?i:{_TOKEN})[|｜])[^<>|｜\s]{{1,40}}[|｜]>|</?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>"
    r"|<turn\|>|<\|turn>|\[/?INST\]|<</?SYS>>",
)
_BOXES = {"<|begin_of_box|>": "<answer>", "<|end_of_box|>": "</answer>"}


def clean(text: str) -> str:
    """Returns the text with "\\n" line ends, without special tokens and invisible
    characters.

    `without_controls` defines the invisible characters. A special token becomes a line
    end, so that text after `<|im_end|>` is not part of an answer before it.
    """
    text = without_controls(text)
    if "<" not in text and "[" not in text:
        return text
    return _SPECIAL.sub(lambda token: token["header"] or _BOXES.get(token[0], "\n"), text)


def hide_think_blocks(text: str) -> str | None:
    """Returns the text with each character of a think block replaced by a line end.

    The length is unchanged. Returns None if the text ends inside a think block.
    """
    hidden: list[str] = []
    kept = 0  # text[lead:kept] is in `hidden`
    lead = 0
    opened: int | None = None
    for place, end, closes in think_tags(text):
        if not closes:
            opened = place if opened is None else opened
            continue
        if opened is None:  # the prompt opened it
            hidden, lead = [], end
        else:
            hidden += [text[kept:opened], "\n" * (end - opened)]
        kept, opened = end, None
    if opened is not None:
        return None
    return "".join(["\n" * lead, *hidden, text[kept:]]) if kept else text


def without_think_blocks(text: str) -> str:
    """Returns the text outside of think blocks. An unclosed block extends to the end of
    the text.
    """
    kept: list[str] = []
    position, inside = 0, False
    for begin, end, closes in think_tags(text):
        if closes and not inside:  # the prompt opened it
            kept.clear()
        elif not closes and not inside:
            kept.append(text[position:begin])
        position, inside = end, not closes
    return "".join(kept) if inside else "".join([*kept, text[position:]])


def ends_in_think_block(text: str, *, opened: bool = False) -> bool:
    """Whether a think block is open at the end of the text.

    Args:
        opened: whether one is open at the beginning.
    """
    for _, _, closes in think_tags(text):
        opened = not closes
    return opened


def think_tags(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yields (begin, end, whether it closes a block) for each tag."""
    has_bare_headers = "assistantfinal" in text or text.lstrip().startswith(
        ("analysis", "assistantanalysis")
    )
    for tag in (_TAGS_AND_BARE_HEADERS if has_bare_headers else _TAGS).finditer(text):
        if text[tag.start() - 1 : tag.start()] == text[tag.end() : tag.end() + 1] == "`":
            continue
        yield tag.start(), tag.end(), any(tag.groups())


def opens_think_block(prompt: str) -> bool:
    """Whether a prompt ends with the tag that opens a think block."""
    tags = list(think_tags(prompt := prompt.rstrip()))
    return bool(tags) and tags[-1][1] == len(prompt) and not tags[-1][2]
