"""Finds the marks of answers in a text: boxes, tags, labels, headings, "####", and
plain sentences.

Two ranks. *Explicit* marks are `\\boxed{X}`, `<answer>X</answer>`, `Answer: X`, a
heading with X in the next block, and `#### X`. A *sentence* is "the answer is X", where
X looks like a value. Mere mentions ("suppose the answer is 5", "is the answer 8?") are
not marks.

Marks are read backwards from the last one. Lookahead and lookbehind are bounded by
constants, so the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from agents.answers.extraction.answer_words import (
    AFTER_WORD,
    ARTICLE,
    ASIDE,
    HINT,
    IS,
    NO_VALUE,
    RETRACTION,
    SAME,
    THEREFORE,
    UNSPACED_WORDS,
    WORD,
    WORDS,
)
from agents.answers.extraction.marked_values import (
    MEASURE,
    NUMBER_FIRST,
    STYLING_TAG,
    TRIM,
    first_sentence,
    is_open,
    line_value,
    looks_like_value,
    tidy,
    up_to_closer,
    without_explanation,
    without_tags,
)
from agents.answers.values.spelling import LONGEST_ANSWER

_WINDOW = LONGEST_ANSWER + 200
_BEFORE = 120
"""Characters of a line that are examined before a mark."""

# Candidates for marks, by kind; the text before and after decides.
_DECORATION = r"(?:[*_`\"'”’}#=]|</\w{1,8}>|[^\S\n]){0,8}"
_SEPARATOR = (
    r":(?!=)(?:-(?=\s))?|(?<=答案)】:?|(?<=answer)\]:?|=(?!=)>?|-+>(?![a-z_])|[→⇒➜➔⇨–—]|-(?=\s)"
    r"|\|(?=[^|\n]*\|)"  # between cells of a table
)
_LABEL = re.compile(
    rf"(?P<word>{WORD}){AFTER_WORD}{_DECORATION}"
    rf"(?:(?P<separator>{_SEPARATOR})|(?=[^\S\n]*(?:\n|$)))",
)
_SENTENCE = re.compile(
    rf"(?P<word>{WORD}){AFTER_WORD}[\s*_]{{0,4}}{IS}[^\S\n]{{0,4}}(?:\.{{2,4}}|[,:、…*_}}]{{0,4}})[^\S\n]{{0,4}}{THEREFORE}{{0,2}}",
)
_HASHES = re.compile(r"(?<!#)####(?!#)")
_TAG = re.compile(
    r"[<\[]\s?(?P<slash>/?)\s?(?:final[_ "
    r"]?)?answer(?:\s\w{1,20}=\"[^\"<>]{0,80}\"|\s)?[>\]]",
    re.IGNORECASE,
)
_BOX_TOKEN = re.compile(r"\\{1,4}boxed\s{0,4}\{|\\{1,4}boxed\s{1,4}\w{1,20}|\\.|[{}]", re.DOTALL)

# Text allowed before a label on its line, and the clause around the label.
_STYLING = re.compile(
    STYLING_TAG + r"|\\(?:text\w{0,6}|mathbf|mathrm)\s?\{(?=[^{}]{0,40}(?:}|$))",
    re.IGNORECASE,
)
_LABEL_START = re.compile(
    r"[\W_]*(?:(?:here(?:['’]s| is| are)|this is|that is|(?:i|we) "
    r"get|gives?|so|thus|hence|therefore"
    r"|then|and|now|finally|conclusion|in "
    r"conclusion|step|solution|result|final|[a-z]|\d{1,3})[\W_]+)*"
    rf"(?:{ARTICLE}\s+)?(?:{SAME}\s*)*",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.!?;:。！？；|](?=\s|$|[^\x00-\x7f])|(?:#|//|--|[–—>→])(?=\s)|\n")

# Text allowed after a mark.
_HASH_VALUE = re.compile(rf"{MEASURE}\W{{0,3}}|[$\\-].*|[*]{{2}}[^*]+[*]{{2}}\W*", re.IGNORECASE)
_TABLE_RULE = re.compile(r"\s{0,4}\|?\s{0,4}:?-")
_REMARK = re.compile(
    r"rounded|positive|negative|prime|even|odd|exact|unique|valid|verified|confirmed|consistent|reasonable|plausible|sensible|simplified"
    r"|finite|rational|irrational|real|complete|whole|integral|final|small|large|independent"
)
"""Adjectives in a remark about a number that an earlier sentence states."""
_CONTEXT = re.compile(r"\s(?:to|for|of)\s")
_OPTION = re.compile(r"\(?[A-J]\)?")
_BULLET = re.compile(r"\s*[-*+•]\s")
_NUMBERED = re.compile(
    r"(?:step\s)?\d{1,3}[.):]\s+(?!(?:this|that|because|since|i|note|explanation)\b)\S"
    r"|\d{1,3}\s(?-i:[A-Z])\w*\s\w",
    re.IGNORECASE,
)
_RETRACTION = re.compile(r"\W*(?:but\s+)?(?:wait|hmm+|hold on|oops|no[,.\s]|等等)", re.IGNORECASE)
_SECOND_THOUGHT = re.compile(
    r"\W\s(?:no,? )?wait\b|\bbut\b.{0,80}\b(?:check|verify|sure|wait|wrong)\b", re.IGNORECASE
)
_JSON_VALUE = re.compile(
    r"\s*(?:([\"'])(?P<text>(?:\\.|(?!\1)[^\\])*)\1|(?P<other>\[[^\[\]]*\]|[^\s,{}\[\]\"']+))\s*(?:[,}]|$)",
    re.DOTALL,
)
_LAST_LINE_A = re.compile(rf"(?:^|\n)\**a\**:[\s*]{{0,4}}(?P<value>{MEASURE})\**\.?\**\s*\Z")
_DERIVATION = re.compile(
    r"(?:let['’]s|let (?:us|me)|to (?:find|solve|determine|calculate|compute|answer|get)|first,? "
    r"(?:we|i|let)"
    r"|we (?:need|have|must|should|know|are)|okay,|sure[,!])\s",
    re.IGNORECASE,
)
"""Beginnings of a derivation, which is not a value."""
_VARIABLE = re.compile(
    r"\s*|.*(?:_|\.|\b(?:const|let|var|int|float|double|auto|assert|if|while)\s+)"
)
"""Text before a variable's name in code."""
_TYPE = re.compile(
    r"(?:int|str|float|number|string|bool|list|dict)(?:\[[^\[\]]*\])?\s?=", re.IGNORECASE
)
_RETRACTED = re.compile(
    rf"(?:^|[.!?…\n])\W{{0,5}}(?:(?:but|oh|hmm+|no|oops|well|and)\W{{1,4}}){{0,3}}(?:{RETRACTION})",
    re.IGNORECASE,
)
_CHECKED = re.compile(  # "Wait, let me check: 3 + 4 = 7. Yes."
    r"\W{0,5}(?:but\s)?(?:wait|hmm+|hold "
    r"on)\W(?:(?!wrong|mistake|incorrect|error|\bno\b|\bnot\b).){0,300}?"
    r"[.!?…\n]\W{0,5}(?:yes|yep|confirmed|correct|(?:that|it|this)(?:['’]s| is) "
    r"(?:right|correct))\b",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(
    r"\b(?:said|says?|ask(?:s|ed)|claims?|claimed|wrote|replied|states?)\b\W{0,3}[\"“'](?:the|my|our)?\s*$"
)
_OPENING_BRACKET, _CLOSING_BRACKET = re.compile(r"[(\[]"), re.compile(r"[)\]]")
_UNDERLINES = re.compile(r"(?:[\s>=*_~-]*\n)?[^\S\n]*(?:>\s)?(?:[*_]{1,3}(?=[^\s*_]))?")
_AFTER_SEPARATOR = re.compile(r"(?:}|</\w{1,8}>|[^\S\n]){0,8}")
_CLOSING_BOLD = re.compile(r"[^\S\n]?\*\*")
_COPULA_ENDING = re.compile(
    r"(?:です|でした|である|となります|になります|だ|입니다|이에요|예요|이다)$"
)
_ENVIRONMENT = re.compile(r"\\begin\{(\w{1,20}\*?)\}(?![^\n]{0,800}\\end\{\1\})")
"""The beginning of a multi-line matrix or set of equations."""
_DISPLAY = {"\\[": "\\]", "$$": "$$", "```": "\n```"}
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xFE55: 0x3A}

Unfinished = Literal["unfinished"]
"""In place of a mark: one that is cut off at the end of the text."""
_UNFINISHED: Unfinished = "unfinished"


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked answer in a text."""

    end: int
    """End of the value, as an index into the text."""
    value: str
    begin: int | None = None
    """Begin of the value, if only the end of its line or sentence delimits it."""


def find_mark(text: str, *, is_cut: bool = False, with_sentences: bool = True) -> Mark | None:
    """Returns the mark that counts: the last explicit one, else the last sentence.

    The last sentence also counts if the text retracts the explicit mark before it
    ("Wait, I made a mistake. The answer is 8."), or if the explicit mark introduces a
    derivation ("Answer: Let's think ... The answer is 8.").

    Returns None without a mark, or if the mark that counts is unfinished (`\\boxed{` at
    the end of the text).

    Args:
        text: cleaned text without think blocks. is_cut: whether the text was cut off; a
            value that reaches its end is then unfinished.
        with_sentences: whether plain sentences count.
    """
    if HINT.search(plain := lowered(text)) is None:
        return None
    reader = _Reader(text, plain, is_cut)
    mark = next(reader.explicit(), None)
    if with_sentences and (
        mark is None or (isinstance(mark, Mark) and reader.may_be_replaced(mark))
    ):
        mark = reader.sentence_after(mark) or mark
    if not isinstance(mark, Mark):
        return None
    inner = find_mark(mark.value)
    return mark if inner is None else Mark(mark.end, inner.value)


def is_heading(line: str) -> bool:
    """Whether a line is the heading of an answer below it: "**Final Answer**"."""
    line = line[-_WINDOW:]
    plain = lowered(line)
    for match in _matches(_LABEL, plain):
        if not plain[match.end() :].strip(TRIM + "#=}"):
            clause = _clause(plain[max(0, match.start() - _BEFORE) : match.start()])
            return _LABEL_START.fullmatch(clause) is not None and not _is_code(match, clause, line)
    return any(not plain[match.end() :].strip(TRIM) for match in _matches(_SENTENCE, plain))


def lowered(text: str) -> str:
    """Returns the text in lower case and narrow characters; its length is unchanged."""
    if text.isascii():
        return text.lower()
    narrow = text.translate(_NARROW)
    lower = narrow.lower()
    if len(lower) == len(text):
        return lower
    return "".join(
        small if len(small := character.lower()) == 1 else character for character in narrow
    )


def _matches(pattern: re.Pattern[str], plain: str) -> Iterator[re.Match[str]]:
    """Yields the matches of a pattern that begins with a word for "answer"."""
    for word in WORDS.finditer(plain):
        if (match := pattern.match(plain, word.start())) is not None:
            yield match


def _clause(before: str) -> str:
    """Returns the clause directly before a mark."""
    return _STYLING.sub("", _CLAUSE_END.split(before)[-1])


def _is_code(match: re.Match[str], clause: str, text: str) -> bool:
    """Whether a label is not a mark but a variable ("answer = 5 + 7") or the lower-case
    end of a line.
    """
    return match["separator"] in (None, "=") and _is_variable(match, clause, text)


def _is_variable(match: re.Match[str], clause: str, text: str) -> bool:
    return text[match.start()].islower() and _VARIABLE.fullmatch(clause) is not None


def _value_end(mark: Mark) -> int:
    return mark.end if mark.begin is None else mark.begin + len(mark.value)


def _introduces_derivation(mark: Mark) -> bool:
    """Whether a value that is delimited by its line only may be the beginning of a
    derivation.
    """
    return (
        mark.begin is not None
        and len(mark.value.split()) > 3
        and not mark.value.startswith(("$", "\\"))
    )


class _Reader:
    """Finds the marks of one text."""

    def __init__(self, text: str, plain: str, is_cut: bool) -> None:
        self.text = text
        self.plain = plain  # `lowered`
        self.is_cut = is_cut

    def explicit(self) -> Iterator[Mark | Unfinished]:
        """Yields the explicit marks in descending order of their beginnings."""
        found: list[tuple[int, Callable[[], Mark | Unfinished | None]]] = [
            *self._boxes(),
            *self._tags(),
            *(
                (match.start(), partial(self._label, match))
                for match in _matches(_LABEL, self.plain)
            ),
            *(
                (match.start(), partial(self._hashes, match))
                for match in _HASHES.finditer(self.plain)
            ),
        ]
        for _, read in sorted(found, key=lambda place: place[0], reverse=True):
            if (mark := read()) is not None:
                yield mark

    def sentences(self) -> Iterator[Mark | Unfinished]:
        """Yields the answers of plain sentences, best first: a last line "A: 12", then
        the last sentence; if that is a remark ("prime"), earlier numbers before it.
        """
        if (line := _LAST_LINE_A.search(self.plain)) is not None:
            begin, end = line.span("value")
            if (mark := self._mark(end, tidy(self.text[begin:end]))) is not None:
                yield mark
        found = (self._sentence(match) for match in reversed(list(_matches(_SENTENCE, self.plain))))
        last = next((mark for mark in found if mark is not None), None)
        # "The answer is 7. The answer is prime."
        if isinstance(last, Mark) and _REMARK.fullmatch(last.value):
            yield from (
                mark for mark in found if isinstance(mark, Mark) and NUMBER_FIRST.match(mark.value)
            )
        if last is not None:
            yield last

    def may_be_replaced(self, mark: Mark) -> bool:
        """Whether an explicit mark introduces a derivation or is retracted after it."""
        return (
            _introduces_derivation(mark)
            or _RETRACTED.search(self.text, _value_end(mark)) is not None
        )

    def sentence_after(self, mark: Mark | None) -> Mark | Unfinished | None:
        """Returns the last sentence with an answer, if it follows the explicit mark and
        its retraction (or derivation).
        """
        sentence = next(self.sentences(), None)
        if mark is None or sentence is None:
            return sentence
        begin, end = (
            _value_end(mark),
            sentence.end if isinstance(sentence, Mark) else len(self.text),
        )
        if begin < end and (
            _introduces_derivation(mark) or _RETRACTED.search(self.text, begin, end) is not None
        ):
            return sentence
        return None

    def _boxes(self) -> Iterator[tuple[int, Callable[[], Mark | Unfinished | None]]]:
        """Yields each box; braces nest, a backslash escapes. One pass."""
        opened: list[tuple[int, int] | None] = []  # begins of mark and content; None: other brace
        for token in _BOX_TOKEN.finditer(self.text):
            if token[0] == "}":
                if opened and (box := opened.pop()) is not None:
                    yield box[0], partial(self._span, box[1], token.start(), token.end())
            elif "boxed" in token[0]:
                if token[0].endswith("{"):
                    opened.append((token.start(), token.end()))
                else:
                    begin = self.text.index("boxed", token.start()) + len("boxed")
                    yield token.start(), partial(self._span, begin, token.end(), token.end())
            elif token[0] == "{":
                opened.append(None)
        for box in opened:
            if box is not None:
                yield box[0], lambda: _UNFINISHED

    def _tags(self) -> Iterator[tuple[int, Callable[[], Mark | Unfinished | None]]]:
        opened: re.Match[str] | None = None
        for tag in _TAG.finditer(self.plain):
            if not tag["slash"]:
                opened = tag
            elif opened is not None:
                yield opened.start(), partial(self._span, opened.end(), tag.start(), tag.end())
                opened = None
        if opened is not None and opened[0].startswith("<"):  # "[Answer] 7" is a label
            yield opened.start(), lambda: _UNFINISHED

    def _span(self, begin: int, end: int, mark_end: int) -> Mark | None:
        """Reads a value that the mark itself delimits; it may have several lines."""
        value = tidy(self.text[begin:end]) if end - begin <= _WINDOW else ""
        return Mark(mark_end, value) if value else None

    def _hashes(self, match: re.Match[str]) -> Mark | Unfinished | None:
        end = self._line_end(match.end())
        line = self.text[match.end() : end].strip()
        value = line_value(line)
        is_option = (
            _OPTION.fullmatch(value) is not None and not self.text[end : end + _WINDOW].strip()
        )
        # a heading: "#### 2. Add"
        if not (is_option or _HASH_VALUE.fullmatch(value)) or _NUMBERED.match(line):
            return None
        return self._mark(end, value)

    def _label(self, match: re.Match[str]) -> Mark | Unfinished | None:
        line = self._line_before(match.start())
        clause = _clause(line)
        at_start = _LABEL_START.fullmatch(clause) is not None
        if not at_start and (match["separator"] != ":" or ASIDE.search(clause)):
            return None
        if _is_code(match, clause, self.text) or (
            match["separator"] == "=" and _CONTEXT.search(match[0])
        ):
            return None
        begin = match.end()
        if line.count("**") % 2 and (closed := _CLOSING_BOLD.match(self.plain, begin)) is not None:
            begin = closed.end()
        if (rest := _AFTER_SEPARATOR.match(self.plain, begin)) is not None:
            begin = rest.end()
        if self._opens_display(begin):
            return self._display(begin)
        end = self._line_end(begin)
        if match["separator"] == "|" and (
            not line.lstrip().startswith("|") or _TABLE_RULE.match(self.text, end)
        ):
            return None
        raw = up_to_closer(self.text[begin:end], line, match[0])
        if '"' in match[0] or "'" in match[0]:
            if (json := _JSON_VALUE.match(self.text, begin, end)) is not None:
                value = tidy(json["text"] or json["other"] or "")
                return None if value == "null" else self._mark(end, value, begin)
            raw = raw.partition('"')[0]
        if not raw.strip(TRIM):
            is_final = "final" in (clause + match[0]).lower() or "最" in clause
            return self._next_block(end, is_final=is_final) if at_start else None
        if not at_start and not NUMBER_FIRST.match(raw.strip(TRIM)):
            return None
        value = line_value(raw)
        return (
            None
            if _DERIVATION.match(value) or _TYPE.match(value)
            else self._mark(end, value, begin)
        )

    def _sentence(self, match: re.Match[str]) -> Mark | Unfinished | None:
        line = self._line_before(match.start())
        clause = _clause(line)
        if ASIDE.search(clause) or _QUOTED.search(line):
            return None
        begin, end = match.end(), self._line_end(match.end())
        if match[0].rstrip().endswith("=") and (
            _is_variable(match, clause, self.text) or " is " in self.plain[begin:end]
        ):
            return None
        if "would" in match[0].lower() and re.search(r"\b(?:if|were|had)\b", clause, re.IGNORECASE):
            return None
        while self.plain[begin - 1] in "*_":
            begin -= 1
        if self._opens_display(begin):
            return self._display(begin)
        if not self.text[begin:end].strip(TRIM):
            return self._next_block(end, is_final=False)
        raw = up_to_closer(
            without_tags(self.text[begin:end]), self._line_before(match.start()), match[0]
        )
        sentence, terminator, rest = first_sentence(raw, is_prose=True)
        after = rest or self.text[end : end + 40]
        is_retracted = _RETRACTION.match(after) and not _CHECKED.match(
            self.text, begin + len(sentence) + 1
        )
        if terminator in ("?", "？") or is_retracted or _SECOND_THOUGHT.search(sentence):
            return None
        value = tidy(without_explanation(sentence))
        if match["word"] in UNSPACED_WORDS:
            value = tidy(_COPULA_ENDING.sub("", re.split("[，；]", value)[0]))
        if value.endswith((")", "]")) and len(_CLOSING_BRACKET.findall(value)) > len(
            _OPENING_BRACKET.findall(value)
        ):
            value = tidy(value[:-1])
        if not value or NO_VALUE.match(value.lstrip(TRIM)) or not looks_like_value(value):
            return None
        return self._mark(begin + len(sentence), value, begin)

    def _next_block(self, begin: int, *, is_final: bool) -> Mark | Unfinished | None:
        """Reads the value below a heading: a formula, a fenced block, or one line."""
        begin = _UNDERLINES.match(self.plain, begin, begin + _WINDOW).end()  # type: ignore[union-attr]
        if self._opens_display(begin):
            return self._display(begin)
        end = self._line_end(begin)
        line = self.text[begin:end]
        value = line_value(line)
        if (
            not value
            or _NUMBERED.match(line)
            or (line.startswith("|") and _TABLE_RULE.match(self.text, end))
        ):
            return None
        following = self.text[end : end + _WINDOW]
        if _BULLET.match(line) and following[:2].strip():  # a list
            return None
        is_alone = not following.strip() or (
            is_final and re.match(r"\n\s*\n", following) is not None
        )
        return self._mark(end, value) if is_alone or looks_like_value(value, words=8) else None

    def _opens_display(self, begin: int) -> bool:
        if (
            self.plain.startswith("```", begin)
            and "```" in self.plain[begin + 3 : self._line_end(begin)]
        ):
            return False
        return (
            self.plain.startswith(tuple(_DISPLAY), begin)
            or _ENVIRONMENT.match(self.text, begin) is not None
        )

    def _display(self, begin: int) -> Mark | Unfinished | None:
        """Reads a display formula, an environment (a matrix, whole), or a fenced
        block.
        """
        if (environment := _ENVIRONMENT.match(self.text, begin)) is not None:
            opener, closer = environment[0], f"\\end{{{environment[1]}}}"
        else:
            opener = next(opener for opener in _DISPLAY if self.plain.startswith(opener, begin))
            closer = _DISPLAY[opener]
        inner = begin + len(opener)
        end = self.text.find(closer, inner, inner + _WINDOW)
        if end < 0:
            return _UNFINISHED if len(self.text) <= inner + _WINDOW else None
        if opener == "```":  # skip the language
            inner = self._line_end(inner)
        mark_end = end + len(closer)
        value = tidy(self.text[inner:end] if environment is None else self.text[begin:mark_end])
        return Mark(mark_end, value) if value else None

    def _mark(self, end: int, value: str, begin: int | None = None) -> Mark | Unfinished | None:
        """Returns the mark of a value that is delimited by its line or sentence
        only.
        """
        if not value:
            return None
        reaches_end = len(self.text) <= end + 40 and not self.text[end:].strip(TRIM + ".")
        return (
            _UNFINISHED
            if reaches_end and (self.is_cut or is_open(value))
            else Mark(end, value, begin)
        )

    def _line_before(self, begin: int) -> str:
        before = self.plain[max(0, begin - _BEFORE) : begin]
        return before[before.rfind("\n") + 1 :]

    def _line_end(self, begin: int) -> int:
        """Returns the end of the line, at most `_WINDOW` characters away."""
        stop = min(len(self.text), begin + _WINDOW)
        end = self.text.find("\n", begin, stop)
        tag = _TAG.search(self.plain, begin, stop if end < 0 else end)
        return tag.start() if tag is not None else stop if end < 0 else end
