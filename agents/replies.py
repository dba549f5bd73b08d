"""How a role's reply is read: without its thinking, and by its last line.

A critic and a reflector read questions and steps that may imitate their reply, and may
quote them while they work. So only the last line of a reply counts, in a form that a
quoted line does not have: every line that a prompt shows of a question or a step stands
behind words or a "> " of the prompt's own (`agents.prompts.quoted`). A last line whose
words the role was shown (`is_shown`) may be a quotation, so it decides nothing. All
patterns are bounded: reading takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agents.answers.think_blocks import think_tags

ENDINGS = r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>){0,16}"
"""Pattern of what may stand behind a reply: white space, and special tokens that a model spells out."""
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_NO_WORDS = re.compile(r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>)*+")


def without_thinking(text: str) -> str:
    """Returns what stands outside of think blocks.

    A block that ends without having begun was opened by the chat template and starts with the
    text; one that does not end reaches to the end of the text.
    """
    kept: list[str] = []
    position, inside = 0, False
    for begin, end, closes in think_tags(text):
        if closes and not inside:
            kept.clear()
        elif not closes and not inside:
            kept.append(text[position:begin])
        position, inside = end, not closes
    return "".join(kept) if inside else "".join([*kept, text[position:]])


def last_line(text: str) -> str:
    """Returns the last line with anything in it but white space and special tokens; "" where there is none."""
    return next((line for line in reversed(text.split("\n")) if not _NO_WORDS.fullmatch(line)), "")


def is_shown(reply: str, shown: Iterable[str]) -> bool:
    """Whether the words of `reply` stand in one of the texts that a role was shown, in a row, whatever stands around and between them."""
    words = _words(reply)
    return any(words in _words(text) for text in shown)


def _words(text: str) -> str:
    return f" {_BETWEEN_WORDS.sub(' ', text).strip().casefold()} "
