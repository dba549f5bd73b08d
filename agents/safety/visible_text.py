"""The filter of all text that reaches a user: answers, summaries, messages.

`visible_text` removes think blocks (also with only one of the two tags), the mark-up of
thoughts, special tokens of common models, invisible characters and terminal control
sequences. It keeps line breaks, tabs and the indentation of code. `repeats` compares a
summary with the hidden steps.

Everything here is linear in the length of the text.

Source: Reverse-o1 (Zhang Junlin, 2024): start and end tokens around the hidden thought,
filtered before the answer is shown; Boucher et al., "Trojan Source" (arXiv:2111.00169)
for characters that change what a reader sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from agents.safety.think_delimiters import BARE_HEADER, HEADER, TAG_NAMES

_PLAIN_NAMES = "act|answer|solution|tool_call|tool_response"
_CONTROL_TOKENS = (
    "s|bos|eos|pad|unk|mask|cls|sep|start_of_turn|end_of_turn|start_of_image|end_of_image"
)
_TAG = re.compile(
    rf"<\s?\\*(?P<end>/?)\s?(?:(?P<hidden>{TAG_NAMES})|{_PLAIN_NAMES})(?:\s[^<>]*|/)?>"
    rf"|</?(?:{_CONTROL_TOKENS})>"
    # <|im_start|>; no blanks inside, for the sake of |x| <|y| and |z|> 1
    r"|<[|｜](?P<token>[^<>|｜\s]+)[|｜]>"
    r"|\[(?P<end_square>/?)(?:(?P<hidden_square>THINK(?:ING)?)|INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|◁(?P<end_triangle>/?)(?P<hidden_triangle>think(?:ing)?)▷",
    re.IGNORECASE,
)
_HEADER = re.compile(rf"{HEADER}|{BARE_HEADER}", re.IGNORECASE)
_SYSTEM_TAG = re.compile(r"<</?SYS>>", re.IGNORECASE)
_LONGEST_SYSTEM_TAG = len("<</SYS>>")
_HIDING_TOKEN = re.compile(
    r"(?P<end>/|end|stop|close)?.*(?:think|thought|reasoning)", re.IGNORECASE
)
_UNFINISHED_TAG = re.compile(r"(?P<quoted>`?)<\\*/?(?:\w{1,20}:)?think", re.IGNORECASE)
_BRACKET = re.compile(r"([<>\[\]◁▷])")
_OPENER: Final = {">": "<", "]": "[", "▷": "◁"}

_ESCAPE = re.compile(
    # Colours, cursor movements. None holds "<" here, or it would take a tag's bracket
    # along.
    r"(?:\x1b\[|\x9b)[0-;=-?]*[ -/]*[@-~]"
    # titles, links, the clipboard
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-;=-~]"
)
_LINE_BREAK = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u3164\uffa0\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_EMOJI = r"\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff\U0001f000-\U0001faff"
# Arabic, Indic, Burmese, Khmer
_JOINING_SCRIPTS = r"\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff"
_JOINER = re.compile(
    rf"((?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])|(?<=[{_JOINING_SCRIPTS}])[\u200c\u200d](?=[{_JOINING_SCRIPTS}]))"
    r"|[\u200c\u200d]"
)
_STRAY_SELECTOR = re.compile(r"(?<![0-9#*\xa9-\ufdff\ufe10-\U0010ffff])[\ufe00-\ufe0f]")

_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
    r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED_SIGN = re.compile(rf"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def visible_text(text: str) -> str:
    """Returns the part of `text` that a user may see; may be "".

    Think blocks are removed with their content: without a closing tag a block extends
    to the end of the text, without an opening tag it starts at the beginning. Of other
    mark-up, and after a backtick (text about tags), only the tags are removed.
    Surrounding blank lines are removed.
    """
    text = _HEADER.sub(
        lambda header: "</think>" if any(header.groups()) else "<think>", without_controls(text)
    )
    text = _without_tags(text, with_thinking=True)
    unfinished = next((tag for tag in _UNFINISHED_TAG.finditer(text) if not tag["quoted"]), None)
    text = _UNFINISHED_TAG.sub("`", text if unfinished is None else text[: unfinished.start()])
    lines = text.rstrip().split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    lines = lines[first:]
    return lines[0].strip() if len(lines) == 1 else "\n".join(lines)


def strip_markup(text: str) -> str:
    """Returns the stripped text without mark-up (tags of longthought and of thinking
    models, special tokens).

    Text between tags is kept, also in a think block: the result may hold hidden
    thought.

    Tags that appear when another one is removed are removed, too. "3 < 5 and 7 > 2" and
    HTML are unchanged.
    """
    return _without_tags(text, with_thinking=False).strip()


def without_controls(text: str) -> str:
    """Returns the text without invisible characters and terminal control sequences.

    Removes escape sequences, bidirectional controls and zero-width characters, but
    keeps the joiners and variation selectors that emoji and joining scripts need.
    Converts every kind of line break to a newline and a lone surrogate to U+FFFD.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    text = _LINE_BREAK.sub("\n", _ESCAPE.sub("", text))
    text = _JOINER.sub(lambda joiner: joiner[1] or "", _UNSEEN.sub("", text))
    return _SURROGATE.sub("\ufffd", _STRAY_SELECTOR.sub("", text))


def _without_tags(text: str, *, with_thinking: bool) -> str:
    """Returns the text without tags and, `with_thinking`, without the content of think
    blocks.

    One pass over brackets. Only the end of the kept text is ever removed, so a tag that
    appears when another one is removed is found at its closing bracket.
    """
    if not any(closer in text for closer in _OPENER):
        return text
    kept: list[str] = []
    opened: dict[str, list[int]] = {opener: [] for opener in _OPENER.values()}
    hidden_from: int | None = None

    def truncate(start: int) -> None:
        del kept[start:]
        for starts in opened.values():
            while starts and starts[-1] >= start:
                starts.pop()

    for piece in _BRACKET.split(text):
        if piece not in _OPENER:
            if piece in opened:
                opened[piece].append(len(kept))
            kept.extend(piece)
            continue
        kept.append(piece)
        tail = "".join(kept[-_LONGEST_SYSTEM_TAG:])
        begin = tail.rfind("<<")
        if begin >= 0 and _SYSTEM_TAG.fullmatch(tail, begin) is not None:
            truncate(len(kept) - len(tail) + begin)
            continue
        starts = opened[_OPENER[piece]]
        if not starts:
            continue
        start = starts.pop()
        enclosed = "".join(kept[start:])
        tag = _TAG.fullmatch(enclosed)
        if tag is None:
            # No tag holds a bracket of its own kind, unless one around a system tag
            # that is removed.
            if not (
                enclosed.upper() in ("<SYS>", "</SYS>") and start > 0 and kept[start - 1] == "<"
            ):
                starts.clear()
            continue
        truncate(start)
        if hidden_from is not None:
            hidden_from = min(hidden_from, start)
        is_quoted = start > 0 and kept[start - 1] == "`"
        match _hides(tag) if with_thinking and not is_quoted else None:
            case True:
                hidden_from = start if hidden_from is None else hidden_from
            case False:
                truncate(hidden_from or 0)
                hidden_from = None
    return "".join(kept[:hidden_from])


def _hides(tag: re.Match[str]) -> bool | None:
    """Whether a tag begins (True) or ends (False) a think block; None for other
    mark-up.
    """
    if (token := tag["token"]) is not None:
        hiding = _HIDING_TOKEN.match(token)
        return (
            None
            if hiding is None
            else not (hiding["end"] or token.lower().endswith(("_end", "-end")))
        )
    for kind in ("", "_square", "_triangle"):
        if tag[f"hidden{kind}"]:
            return not tag[f"end{kind}"]
    return None


WORDS_IN_A_ROW: Final = 5
"""Length of a repeated sequence, in words; in scripts without blanks, twice as many
characters."""
MOST_REPEATED: Final = 0.3
"""Share of a summary's word sequences that may be repeated. Summaries in a model's own
words had up to 0.28, copies from 0.52."""
LONGEST_QUOTE: Final = 20
"""Repeated words in a row that count as a quotation in a summary of any length."""


def repeats(summary: str, texts: Iterable[str], *, public: Iterable[str] = ()) -> bool:
    """Whether a summary repeats the texts instead of summarizing them.

    True if more than the share `MOST_REPEATED` of its sequences of `WORDS_IN_A_ROW`
    words occur in the texts, or `LONGEST_QUOTE` words in a row. Case, punctuation and
    line breaks are ignored. Sequences of the public texts are not counted, because the
    user has read them. A shorter summary is one sequence.
    """
    words = _words(summary)
    unspaced = sum(_UNSPACED_SIGN.fullmatch(word) is not None for word in words)
    scale = 2 if 2 * unspaced > len(words) else 1
    length = min(WORDS_IN_A_ROW * scale, len(words))
    if length == 0:
        return False
    in_texts = set(_sequences([word for text in texts for word in _words(text)], length))
    in_public = {sequence for text in public for sequence in _sequences(_words(text), length)}
    counted = repeated = row = longest = 0
    for sequence in _sequences(words, length):
        if sequence in in_public:
            continue
        counted += 1
        row = row + 1 if sequence in in_texts else 0
        repeated += row > 0
        longest = max(longest, row)
    quote = longest + length - 1 if longest else 0
    return repeated > MOST_REPEATED * counted or quote >= LONGEST_QUOTE * scale


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", without_controls(text)).casefold())


def _sequences(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(islice(words, start, None) for start in range(length)), strict=False)
