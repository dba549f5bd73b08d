"""What must not be cut: a state machine that reads a step line by line.

A step does not end inside a fenced code block, a display formula or `<answer>` tags,
nor between a heading and the answer below it. Rules that cut at single lines
(`is_attached`) also keep a table in one step, a list with its introduction and a
section with its title, which a blank line separates.
"""

from __future__ import annotations

import re

from agents.answers.extraction.marks import is_heading

MOST_BLOCKS_OF_A_FORMULA = 4
"""Number of blocks after which an unclosed formula is no longer treated as open;
otherwise the rest of the thought would be one step."""

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_DELIMITER = re.compile(r"(?<!\\)\\[\[\]]|^\s*\$\$|\$\$\s*$|</?answer>", re.IGNORECASE)
_CLOSERS = {"\\[": "\\]", "$$": "$$", "<answer>": "</answer>"}
_ROW = re.compile(r"\s*\|")
_TITLE = re.compile(r"\s*(?:#{1,6} [^\n]*|(?:\*\*|__)[^*_\n]+(?:\*\*|__)\s*)")
_INLINE = re.compile(r"`|\\\(|\\\)|\$")
_MOST_INLINE_CHARACTERS = 300


class BlockReader:
    """Reads a step and tracks what is open."""

    def __init__(self) -> None:
        self._fence = ""
        self._closer = ""
        self._blocks = 0
        self._last = ""

    @property
    def is_open(self) -> bool:
        """Whether a code block, a formula or an answer's tag is open."""
        return bool(self._fence or self._closer)

    @property
    def is_attached(self) -> bool:
        """Whether the last line belongs to the line after it: an introduction with a
        colon, a title, a row of a table.
        """
        line = self._last.rstrip("*_ \t")
        return (
            line.endswith((":", "："))
            or _ROW.match(line) is not None
            or _TITLE.fullmatch(self._last) is not None
        )

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
        return self.is_open or (bool(lines) and is_heading(lines[-1]))

    def is_open_after_line(self, line: str) -> bool:
        """Reads the next line, and returns whether the step must go on after it. A
        blank line ends a table, and counts as a block of an open formula.
        """
        if line.strip():
            self._last = line
            self._read_line(line)
            return self.is_open or self.is_attached or is_heading(line)
        if _ROW.match(self._last):
            self._last = ""
        self._blocks = self._blocks + 1 if self._closer else 0
        if self._blocks >= MOST_BLOCKS_OF_A_FORMULA:
            self._closer = ""
        return self.is_open or self.is_attached or is_heading(self._last)

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


class InlineReader:
    """Reads one line piece by piece and tracks what no sentence may end in: a row of a
    table, inline code, an inline formula ("$5" is an amount).
    """

    def __init__(self) -> None:
        self._held = ""
        self._is_empty = True
        self._is_row = False
        self._closer = ""
        self._opened_for = 0

    @property
    def is_open(self) -> bool:
        """Whether a sentence cannot end here. Inline code and formulas of more than 300
        characters count as never closed.
        """
        return self._is_row or bool(self._closer)

    def read(self, text: str) -> None:
        """Reads the next piece of the line."""
        text = self._held + text
        self._held = text[-1:] if text.endswith(("$", "\\")) else ""  # its successor decides
        text = text.removesuffix(self._held)
        if self._is_empty and text.strip():
            self._is_empty, self._is_row = False, _ROW.match(text) is not None
        for match in _INLINE.finditer(text):
            self._toggle(match[0], text[match.end() : match.end() + 1])
        self._opened_for = self._opened_for + len(text) if self._closer else 0
        if self._opened_for > _MOST_INLINE_CHARACTERS:
            self._closer = ""

    def _toggle(self, mark: str, following: str) -> None:
        if self._closer:
            self._closer = "" if mark == self._closer else self._closer
        elif mark == "\\(":
            self._closer = "\\)"
        elif mark == "`" or (mark == "$" and not (following.isspace() or following.isdigit())):
            self._closer = mark
