"""Where a step ends.

One rule for every model: a step ends with the token that completes a blank line
("\\n\\n" in the decoded text), or with the end of the sequence. What belongs together
is not cut: a heading and the answer below it, a display formula, a fenced block of
code. The rule is applied here to a completion that ran through to its answer. Where the
policy writes one step at a time the engine stops at the blank line, and `goes_on` tells
the policy to ask again; both give the same steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from agents.answers.extraction.marks import is_heading
from agents.engines.base import Tokenizer

MOST_BLOCKS_OF_A_FORMULA = 4
"""Blocks after which a formula that is not closed counts as forgotten, so that it does
not swallow the thought."""

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_DELIMITER = re.compile(r"(?<!\\)\\[\[\]]|^\s*\$\$|\$\$\s*$|</?answer>", re.IGNORECASE)
_CLOSERS = {"\\[": "\\]", "$$": "$$", "<answer>": "</answer>"}
_pieces: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
"""What each token says alone, as far as it was asked for."""


def cut_steps(
    token_ids: Sequence[int], tokenizer: Tokenizer, *, separator: str = "\n\n"
) -> list[slice]:
    """Returns the slices of a completion that are its steps, in order; together they
    cover every token.

    A blank line before any word ends no step: it stays with the step that follows. Only
    tokens with a part of the separator in them are decoded with what stands before
    them, so that the cost is linear in ordinary text. The last token is not looked at:
    a step ends there in any case.
    """
    pieces = _pieces.setdefault(tokenizer, {})
    cuts: list[slice] = []
    start = block = 0
    reader = _BlockReader()
    for end, token in enumerate(token_ids[:-1], start=1):
        piece = pieces.get(token)
        if piece is None:
            piece = pieces[token] = tokenizer.decode([token])
        if separator[-1] not in piece:
            continue
        text = tokenizer.decode(list(token_ids[block:end]))
        if separator in text.lstrip():
            block = end
            if not reader.is_open_after(text):
                cuts.append(slice(start, end))
                start, reader = end, _BlockReader()
    if start < len(token_ids):
        cuts.append(slice(start, len(token_ids)))
    return cuts


def goes_on(text: str, *, separator: str = "\n\n") -> bool:
    """Returns whether a step that was stopped at a blank line goes on behind it: it has
    no word yet, or something is open in it.
    """
    reader = _BlockReader()
    blocks = [block for block in text.split(separator) if block.strip()]
    return not blocks or [reader.is_open_after(block) for block in blocks][-1]


class _BlockReader:
    """Reads a step block by block, and knows what is open in it."""

    def __init__(self) -> None:
        self._fence = ""
        self._closer = ""
        self._blocks = 0

    def is_open_after(self, block: str) -> bool:
        """Returns whether a formula, a fence or an answer's heading is open at the end
        of the next block.
        """
        lines = [line for line in block.splitlines() if line.strip()]
        for line in lines:
            self._read_line(line)
        self._blocks = self._blocks + 1 if self._closer else 0
        if self._blocks >= MOST_BLOCKS_OF_A_FORMULA:
            self._closer = ""
        return bool(self._fence or self._closer) or (bool(lines) and is_heading(lines[-1]))

    def _read_line(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence is not None and (not self._fence or fence[1].startswith(self._fence)):
            self._fence = "" if self._fence else fence[1]
        elif not self._fence:
            for delimiter in _DELIMITER.findall(line):
                mark = delimiter.strip().lower()
                self._closer = (
                    ("" if mark == self._closer else self._closer)
                    if self._closer
                    else _CLOSERS.get(mark, "")
                )
