"""Reads a role's reply: only the last line outside of think blocks counts.

Questions and steps may imitate the reply of a critic or a reflector, and these may
quote them while they work. So the last line must have a form that a quoted line does
not have: prompts put their own words or "> " before every line of a question or a step
(`agents.prompts.quoted`). A last line whose words occur in the prompt (`is_shown`) may
be a quotation and is ignored. A one-token reply has no form; its label is ignored if a
line of the prompt ends with it (`ends_a_line`). All patterns are bounded, so reading
takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

ENDINGS = r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>){0,16}"
"""Pattern of text allowed after a reply: white space, and special tokens written out as
text."""
_TAG = re.compile(r"[<[{][^\w<>[\]{}]{0,4}\w{1,32}[^\w<>[\]{}]{0,4}[>\]}]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_NO_WORDS = re.compile(r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>)*+")


def last_line(text: str) -> str:
    """Returns the last line that holds more than white space and special tokens; "" if
    there is none.
    """
    return next((line for line in reversed(text.split("\n")) if not _NO_WORDS.fullmatch(line)), "")


def is_shown(reply: str, shown: Iterable[str]) -> bool:
    """Whether the words of `reply` occur as one sequence in a text of `shown`.
    Punctuation and case are ignored.
    """
    words = _words(reply)
    return any(words in _words(text) for text in shown)


def ends_a_line(label: str, other: str, shown: Iterable[str]) -> bool:
    """Whether a line of one of the texts ends with the word `label`.

    Case, mark-up, tags and full-width letters are normalized. A line that ends with
    both labels as alternatives ("Answer yes or no") does not count.
    """
    word, rival = re.escape(label.casefold()), re.escape(other.casefold())
    verdict = re.compile(rf"(?<![a-z]){word} $")
    choice = re.compile(rf"(?<![a-z]){rival}(?: or |/| / ){word}(?![a-z])")
    for text in shown:
        for line in unicodedata.normalize("NFKC", text).casefold().splitlines():
            without_choice = choice.sub("", line)
            if any(
                verdict.search(_words(end))
                for end in (without_choice, _TAG.sub(" ", without_choice))
            ):
                return True
    return False


def _words(text: str) -> str:
    return f" {_BETWEEN_WORDS.sub(' ', text).strip().casefold()} "
