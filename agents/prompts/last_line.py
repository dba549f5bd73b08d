"""How a role's reply is read: by the last line of what stands outside of its think
blocks.

A critic and a reflector read questions and steps that may imitate their reply, and may
quote them while they work. So only the last line of a reply counts, in a form that a
quoted line does not have: every line that a prompt shows of a question or a step stands
behind words or a "> " of the prompt's own (`agents.prompts.quoted`). A last line whose
words the role was shown (`is_shown`) may be a quotation, so it decides nothing. A reply
of one token has no form; there a label that a shown line ends with (`ends_a_line`)
decides nothing. All patterns are bounded: reading takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

ENDINGS = r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>){0,16}"
"""Pattern of what may stand behind a reply: white space, and special tokens that a
model spells out."""
_TAG = re.compile(r"[<[{][^\w<>[\]{}]{0,4}\w{1,32}[^\w<>[\]{}]{0,4}[>\]}]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_NO_WORDS = re.compile(r"(?:\s|<[|｜]?/?\w{1,32}[|｜]?>)*+")


def last_line(text: str) -> str:
    """Returns the last line with anything in it but white space and special tokens; ""
    where there is none.
    """
    return next((line for line in reversed(text.split("\n")) if not _NO_WORDS.fullmatch(line)), "")


def is_shown(reply: str, shown: Iterable[str]) -> bool:
    """Whether the words of `reply` stand in one of the texts that a role was shown, in
    a row, whatever stands around and between them.
    """
    words = _words(reply)
    return any(words in _words(text) for text in shown)


def ends_a_line(label: str, other: str, shown: Iterable[str]) -> bool:
    """Whether a line of one of the texts ends with the word `label`, as verdicts and
    orders do.

    Case, mark-up, tags and letters of other widths make no difference. A line that ends
    with the choice between the two labels ("Answer yes or no") ends with neither.
    """
    word, rival = re.escape(label.casefold()), re.escape(other.casefold())
    verdict = re.compile(rf"(?<![a-z]){word} $")
    choice = re.compile(rf"(?<![a-z]){rival}(?: or |/| / ){word}(?![a-z])")
    for text in shown:
        for line in unicodedata.normalize("NFKC", text).casefold().splitlines():
            said = choice.sub("", line)
            if any(verdict.search(_words(end)) for end in (said, _TAG.sub(" ", said))):
                return True
    return False


def _words(text: str) -> str:
    return f" {_BETWEEN_WORDS.sub(' ', text).strip().casefold()} "
