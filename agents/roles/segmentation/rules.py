"""Rules of where a step ends (`policy.step_boundary`).

    blank_line  after a blank line (the default)
    newline     after a line
    sentence    after a sentence, or a line
    marker      before a sentence that begins with a word of thought ("So", "Wait"), if
                the step has `min_characters`; at the latest with the first sentence
                beyond `max_characters`
    tokens      after `max_tokens` tokens, wherever that is

A rule is a function of the step's own tokens (`StepRule.first_end`), and what follows a
boundary never moves it. So a completion that is cut afterwards and a thought that is
generated step by step have the same steps. `blocks` lists what no rule but `tokens`
splits.

In stepwise generation the engine stops at `StepRule.stops`. If no boundary is found
there, the step goes on by a further request. What the engine generated beyond the
boundary, which `sentence` and `marker` need to recognise it, is dropped, sampled again
with the next step, and charged: a token per sentence, about two per marked step.

Source of `marker`: marker_semantic_v2 of ThinkBooster (minimum 100, maximum 600
characters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

from agents.engines.base import Tokenizer
from agents.roles.segmentation.blocks import BlockReader, InlineReader
from agents.roles.segmentation.sentences import (
    LONGEST_TAIL,
    MARKER_STOPS,
    SENTENCE_STOPS,
    begins_with_marker,
    ends_sentence,
)

StepBoundary = Literal["blank_line", "newline", "sentence", "marker", "tokens"]

_MOST_TOKENS_OF_A_MARKER = 12
_SENTENCE_CHARACTERS = frozenset(".!?。！？\n\"'”’)]*_")
_pieces: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
"""Cache of the decoded text of single tokens, by tokenizer."""


class StepRule(Protocol):
    """Where a step ends.

    Law: if `first_end` of a sequence returns a boundary, it returns the same one for
    every longer sequence that begins with the tokens up to there and the tokens that
    were read behind it.
    """

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings at which the engine stops in stepwise generation."""
        ...

    def first_end(
        self, token_ids: Sequence[int], tokenizer: Tokenizer, *, start: int = 0, forced: int = 0
    ) -> int | None:
        """Returns the end of the step that begins at `start`; None if it goes on. The
        first `forced` tokens were not sampled and contain no boundary.
        """
        ...


@dataclass(frozen=True, slots=True)
class BlankLine:
    """A step ends with the token that completes `separator`.

    A leading blank line belongs to the step that follows. Every token is decoded once.
    """

    separator: str = "\n\n"

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.separator,)

    def first_end(
        self, token_ids: Sequence[int], tokenizer: Tokenizer, *, start: int = 0, forced: int = 0
    ) -> int | None:
        reader, read = BlockReader(), start + forced
        parts: list[str] = []
        has_text, tail = False, ""
        for end in range(read + 1, len(token_ids) + 1):
            if self.separator[-1] not in decoded_token(token_ids[end - 1], tokenizer):
                continue
            part = tokenizer.decode(list(token_ids[read:end]))
            read = end
            parts.append(part)
            tail = f"{tail}{part}" if has_text else part.lstrip()
            has_text = bool(tail) or has_text
            is_complete = self.separator in tail
            tail = tail[-len(self.separator) + 1 :] if len(self.separator) > 1 else ""
            if has_text and is_complete:
                text, has_text, tail = "".join(parts), False, ""
                parts.clear()
                if not reader.is_open_after(text):
                    return end
        return None


@dataclass(frozen=True, slots=True)
class Newline:
    """A step ends with a line, unless the line belongs to the next one (see
    `BlockReader`).
    """

    @property
    def stops(self) -> tuple[str, ...]:
        return ("\n",)

    def first_end(
        self, token_ids: Sequence[int], tokenizer: Tokenizer, *, start: int = 0, forced: int = 0
    ) -> int | None:
        reader = _LineReader()
        block = start + forced
        for end in range(block + 1, len(token_ids) + 1):
            if "\n" not in decoded_token(token_ids[end - 1], tokenizer):
                continue
            is_end = reader.read(tokenizer.decode(list(token_ids[block:end])))
            block = end
            if is_end:
                return end
        return None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A step ends with a sentence or a line; with `markers`, only before a sentence
    that begins with a marker, or behind the first sentence beyond `max_characters`.
    """

    markers: bool = False
    min_characters: int = 0
    max_characters: int = 0

    @property
    def stops(self) -> tuple[str, ...]:
        return MARKER_STOPS if self.markers else SENTENCE_STOPS

    def first_end(
        self, token_ids: Sequence[int], tokenizer: Tokenizer, *, start: int = 0, forced: int = 0
    ) -> int | None:
        reader = _LineReader()
        block, candidate = start + forced, None
        for end in range(block + 1, len(token_ids) + 1):
            if candidate is not None:
                begins = begins_with_marker(tokenizer.decode(list(token_ids[candidate:end])))
                if begins:
                    return candidate
                if begins is False or end - candidate > _MOST_TOKENS_OF_A_MARKER:
                    candidate = None
            if _SENTENCE_CHARACTERS.isdisjoint(decoded_token(token_ids[end - 1], tokenizer)):
                continue
            is_end = reader.read(tokenizer.decode(list(token_ids[block:end])))
            block = end
            if not is_end and not reader.ends_sentence(_next_character(token_ids, end, tokenizer)):
                continue
            if not self.markers or reader.characters >= self.max_characters:
                return end
            if reader.characters >= self.min_characters:
                candidate = end
        return None


@dataclass(frozen=True, slots=True)
class FixedLength:
    """A step has `max_tokens` sampled tokens; the last one may have fewer."""

    max_tokens: int

    @property
    def stops(self) -> tuple[str, ...]:
        return ()

    def first_end(
        self, token_ids: Sequence[int], tokenizer: Tokenizer, *, start: int = 0, forced: int = 0
    ) -> int | None:
        end = start + forced + self.max_tokens
        return end if end <= len(token_ids) else None


def step_rule(
    boundary: StepBoundary,
    *,
    separator: str = "\n\n",
    max_tokens: int = 0,
    min_characters: int = 0,
    max_characters: int = 0,
) -> StepRule:
    """Returns the rule of this name; `separator` is the prompt family's blank line."""
    match boundary:
        case "blank_line":
            return BlankLine(separator)
        case "newline":
            return Newline()
        case "sentence":
            return Sentence()
        case "marker":
            return Sentence(True, min_characters, max_characters)
        case "tokens":
            return FixedLength(max_tokens)


def cut_steps(
    token_ids: Sequence[int],
    tokenizer: Tokenizer,
    rule: StepRule | None = None,
    *,
    start: int = 0,
    forced: int = 0,
) -> list[slice]:
    """Returns the slices of a completion's steps from `start` on, in order; together
    they cover every token. The last token needs no check: a step always ends there.
    """
    rule = rule or BlankLine()
    cuts: list[slice] = []
    while start < len(token_ids):
        end = rule.first_end(token_ids, tokenizer, start=start, forced=forced)
        end = len(token_ids) if end is None else end
        cuts.append(slice(start, end))
        start, forced = end, 0
    return cuts


class _LineReader:
    """Reads a step in pieces of any length, and finds the ends of lines and
    sentences.
    """

    def __init__(self) -> None:
        self.characters = 0
        """Characters read, without leading white space."""
        self._blocks = BlockReader()
        self._inline = InlineReader()
        self._line: list[str] = []
        self._line_length = 0
        self._tail = ""
        self._is_open = False

    def read(self, text: str) -> bool:
        """Reads the next piece, and returns whether the step may end with a line in
        it.
        """
        self.characters += len(text if self.characters else text.lstrip())
        *lines, rest = text.split("\n")
        for line in lines:
            self._is_open = self._blocks.is_open_after_line("".join([*self._line, line]))
            self._line, self._line_length, self._tail = [], 0, ""
            self._inline = InlineReader()
        self._line.append(rest)
        self._line_length += len(rest)
        self._tail = (self._tail + rest)[-LONGEST_TAIL:]
        self._inline.read(rest)
        return bool(lines) and self.characters > 0 and not self._is_open

    def ends_sentence(self, following: str) -> bool:
        """Whether a sentence ends here, before the character `following`."""
        if self._blocks.is_open or self._inline.is_open:
            return False
        return ends_sentence(
            self._tail, begins_line=self._line_length == len(self._tail), following=following
        )


def decoded_token(token: int, tokenizer: Tokenizer) -> str:
    """Returns the text of a single token, from a cache."""
    pieces = _pieces.setdefault(tokenizer, {})
    piece = pieces.get(token)
    if piece is None:
        piece = pieces[token] = tokenizer.decode([token])
    return piece


def _next_character(token_ids: Sequence[int], end: int, tokenizer: Tokenizer) -> str:
    """Returns the first character after `end`; "" if there is none yet. The token is
    decoded with the one before it, because some tokenizers drop a leading blank.
    """
    if end >= len(token_ids):
        return ""
    before = token_ids[end - 1]
    return tokenizer.decode([before, token_ids[end]])[len(decoded_token(before, tokenizer)) :][:1]
