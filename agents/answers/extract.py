"""The final answer that a model marked in its text.

Order of precedence:

1. The explicit marks `\\boxed{X}`, `Answer: X` ("Final answer: X", "**Answer:** X") and `#### X`: the one that begins last wins, so that
   a corrected answer replaces the first and `Answer: \\boxed{18}` gives "18".
2. Without any of them, the last sentence "... answer is X", if X looks like a value: it holds a digit or a LaTeX command, or is at most
   three words. "The answer is not 5" and "the answer is the number of eggs that she sold" mark nothing.

A mark whose X is empty or not closed (the model was cut off) does not count. Nothing marked: None, never a guess at the last number. An
answer is one line; only `\\boxed{...}` may run over several. The result is in the model's own words: see `canonical` for comparing.
"""

from __future__ import annotations

import re

from agents.answers.canonical import LONGEST_ANSWER

_MARK = re.compile(r"answer|boxed|####", re.IGNORECASE)  # one of them is in every mark, and none in most steps
_ANSWER = re.compile(r"\banswer[ \t]{0,4}[*_]{0,3}[ \t]{0,4}:(?P<value>[^\r\n]*)", re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<value>[^\s#][^\r\n]*)", re.MULTILINE)
# What may follow "####", which is a heading in Markdown: "#### 2. Add" is none.
_IS_VALUE = re.compile(r"[-+−]? ?[$€£¥]? ?[-+−]?(?:\d[\d,]*)?(?:[./]?\d+) ?[€£¥%]?(?: [A-Za-z]+){0,3}[.]?|[$\\-].*")
_PROSE = re.compile(r"\banswer[ \t]{1,4}is(?:[ \t]{0,4}:)?[ \t]{1,4}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[\r\n]")
_NO_VALUE = re.compile(r"(not|never|no longer|wrong|incorrect|correct|right|the|a|an|that|unclear|unknown|now|in|to)\b", re.IGNORECASE)
_AFTER_NUMBER = re.compile(r"([-+−]?[ ]?[$€£]?[\d,]*\d(?:\.\d+)?[ ]?%?(?: [A-Za-z]+){0,3}\.)\s+[A-Z]")  # "18 eggs. This is because ..."
_BOX_TOKEN = re.compile(r"\\f?boxed\s*\{|\\.|[{}]", re.DOTALL)
_TRIM = "*_` \t\r\n"


def extract_answer(text: str) -> str | None:
    """Returns the final answer that `text` marks, None when it marks none."""
    if _MARK.search(text) is None:
        return None
    marks = _explicit_marks(text)
    if marks:
        value = max(marks)[1]
        inner = _prose_mark(value)  # "Final Answer: The final answer is $18$."
        return value if inner is None else inner
    return _prose_mark(text)


def _explicit_marks(text: str) -> list[tuple[int, str]]:
    """Returns the place and the value of the last usable explicit mark of each kind."""
    marks = [box] if (box := _last_box(text)) is not None else []
    for pattern in (_ANSWER, _HASHES):
        for match in reversed(list(pattern.finditer(text))):
            value = match["value"]
            if pattern is _ANSWER and not value.strip(_TRIM):
                value = _only_line(text[match.end() :])
            if pattern is _HASHES and not _IS_VALUE.fullmatch(value.strip(_TRIM)):
                continue
            if value := _tidy(value):
                marks.append((match.start(), value))
                break
    return marks


def _last_box(text: str) -> tuple[int, str] | None:
    """Returns the place and content of the closed box that ends last; braces nest, a backslash escapes. One pass."""
    open_boxes: list[tuple[int, int, int] | None] = []  # place of the mark, place of the content; None for an ordinary brace
    found: tuple[int, str] | None = None
    for token in _BOX_TOKEN.finditer(text):
        if token[0].endswith("{") and token[0] != "\\{":
            open_boxes.append((token.start(), token.end(), 0) if token[0].startswith("\\") else None)
        elif token[0] == "}" and open_boxes and (box := open_boxes.pop()) is not None and (value := _tidy(text[box[1] : token.start()])):
            found = (box[0], value)
    return found


def _prose_mark(text: str) -> str | None:
    for match in reversed(list(_PROSE.finditer(text))):
        value = text[match.end() : match.end() + LONGEST_ANSWER]
        end = _SENTENCE_END.search(value)
        value = _tidy(value[: end.start()] if end else value)
        looks_like_value = any(c.isdigit() or c == "\\" for c in value) or len(value.split()) <= 3
        if value and looks_like_value and not _NO_VALUE.match(value):
            return value
    return None


def _only_line(rest: str) -> str:
    """Returns the one line that follows a bare "Answer:", "" when more or nothing follows (then it was a heading)."""
    line = rest.strip()
    return "" if "\n" in line or "\r" in line else line


def _tidy(value: str) -> str:
    """Returns the value without emphasis marks, outer blanks, a closing full stop, and what follows a number's full stop.

    "" when it is no answer: too long, or a box that was cut off.
    """
    value = value.strip(_TRIM)
    if len(value) > LONGEST_ANSWER or ("\\boxed" in value and value.count("{") > value.count("}")):
        return ""
    if (sentence := _AFTER_NUMBER.match(value)) is not None:
        value = sentence[1]
    return value.removesuffix(".").strip(_TRIM)
