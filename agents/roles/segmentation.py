"""Where a step ends.

One rule for every model: a step ends with the token that completes a blank line
("\\n\\n" in the decoded text), or with the end of the sequence. Not cut are a heading
and the answer below it, a display formula, and a fenced code block. `cut_steps` applies
the rule to a completion that runs through to its answer. If the policy generates one
step at a time, the engine stops at the blank line and `is_unfinished` decides whether
to continue the step; both ways give the same steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from agents.answers.extraction.marks import is_heading
from agents.engines.base import Tokenizer

MOST_BLOCKS_OF_A_FORMULA = 4
"""Number of blocks after which an unclosed formula is no longer treated as open;
otherwise the rest of the thought would be one step."""

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_DELIMITER = re.compile(r"(?<!\\)\\[\[\]]|^\s*\$\$|\$\$\s*$|</?answer>", re.IGNORECASE)
_CLOSERS = {"\\[": "\\]", "$$": "$$", "<answer>": "</answer>"}
_pieces: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
"""Cache of the decoded text of single tokens, by tokenizer."""


def cut_steps(
    token_ids: Sequence[int], tokenizer: Tokenizer, *, separator: str = "\n\n"
) -> list[slice]:
    """Returns the slices of a completion's steps, in order; together they cover every
    token.

    A leading blank line belongs to the step that follows. Only at tokens that may
    complete the separator is the current block decoded, so that the cost is linear for
    ordinary text. The last token needs no check: a step always ends there.
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


def is_unfinished(text: str, *, separator: str = "\n\n") -> bool:
    """Returns whether a step that was stopped at a blank line continues after it: it
    has no text yet, or a formula, code block or heading is open.
    """
    reader = _BlockReader()
    blocks = [block for block in text.split(separator) if block.strip()]
    return not blocks or [reader.is_open_after(block) for block in blocks][-1]


class _BlockReader:
    """Reads a step block by block and tracks what is open."""

    def __init__(self) -> None:
        self._fence = ""
        self._closer = ""
        self._blocks = 0

    def is_open_after(self, block: str) -> bool:
        """Reads the next block, and returns whether a formula, a code block or an
        answer's heading is open at its end.
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
