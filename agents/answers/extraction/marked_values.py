"""The value after a mark: where it ends on its line, and whether it looks like a value.

A value is the first sentence after the mark without emphasis, final full stop and
explanation ("12, because 5 + 7 = 12"). Values that are not numbers keep their
explanation: "Yes, because it is prime".
"""

from __future__ import annotations

import re

from agents.answers.values.spelling import LONGEST_ANSWER

TRIM = "*_` \t\r\n\xa0\u3000"
"""Emphasis and blanks."""

_NUMBER = (
    r"[-+−±~]?\s?[$€£¥₹]?\s?[-+−]?(?:\d[\d,]*)?(?:[./]?\d+)(?:e[-+]?\d+)?(?:\s\d+/\d+)?"
    r"\s?[€£¥%°]?"
)
MEASURE = rf"{_NUMBER}(?:\s[^\W\d_]+){{0,3}}"
"""Regular expression of a number with at most three words of a unit."""
NUMBER_FIRST = re.compile(rf"[({{\[\"'*_]*(?:{_NUMBER}|\\|\$|[a-z]\s?=)", re.IGNORECASE)
"""Beginnings of numbers, formulas and "x = ..."."""

_MEASURED = re.compile(MEASURE, re.IGNORECASE)
_EXPLANATION = re.compile(
    r"\s?[,;:(–—-]?\s+\(?(?:because|since|which|so|as|where|given|due|see|but|not|hence|thus|therefore"
    r"|meaning|i\.e\.|i hope|and (?:that|this|it)(?:['’]s| is)|is "
    r"(?:the|my|our))\b|\s?[–—]\s(?=[^\W\d_]{2})|\s-\s(?=[^\W\d_]{2})"
    r"|,\s(?:the|an?|who)\s|[，；,]\s?(?:因|所以|即|其中|这|這|故|なぜ)",
    re.IGNORECASE,
)
_REMARK = re.compile(  # after a number
    r",\s(?:obviously|clearly|exactly|indeed|we|i|this|that|it|for|after|using|by|with|if|when|in|rounded"
    r"|assuming|just|only|right|please|thanks)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"(?<!\\)(?:(?<!\.\.)[.!?]|(?<=\.\.)\.(?=\s+\S))(?=[*_`\"'”’)\]]*(?:\s|$))|[。！？]"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|prof|jr|sr|vs|mt|approx|etc|e\.g|i\.e)|\b\w\.\w)$",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\d\s?(?:sq|cu|in|ft|yd|mi|lbs?|oz|hrs?|min|sec)$", re.IGNORECASE)
"""An abbreviated unit; its full stop does not end a sentence if a small letter
follows."""
_INITIAL = re.compile(r"\b(?!Option|MultipleChoice)[A-Z][a-z]+\s[A-Z]$|(?:^|\W)[A-Z]\.\s?[A-Z]$")
_INITIALS = re.compile(r"(?:\W|^)[A-Z]\.\s?[A-Z]\.")
STYLING_TAG = (
    r"</?(?:b|strong|i|em|u|p|br|center|font|span|div|h[1-6]|mark|code|pre|li|td|details|summary|blockquote)"
    r"(?:\s[^<>\n]{0,80})?/?>"
)
"""Regular expression of a tag that styles text."""
_STYLING_TAG = re.compile(STYLING_TAG, re.IGNORECASE)
_STRUCK_OUT = re.compile(r"~~[^~\n]+~~")
_BOLD_FIRST = re.compile(r"\s*\*\*([^*\n]+)\*\*(?=\s?[,;:(–—-])")
_OPTION_FIRST = re.compile(r"\(?[A-J]\)?(?:[,;]|\s(?:because|since|as)\b)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_WORDS_OF_FORMULAS = frozenset(
    ("and", "or", "sin", "cos", "tan", "log", "ln", "exp", "sqrt", "pi", "mod")
)
_TRAILING_OFF = re.compile(r"(?<![.,\d])(\d+)(?:\.{2,3}|…)$")
"""Dots after a whole number; 0.333... keeps them."""
_EMPHASIS = re.compile(r"(?<!\w)\*\*([^\s*](?:[^*]*[^\s*])?)\*\*(?!\w)")
_PLACEHOLDER = re.compile(
    r"[.…_\s]+|\W*\\boxed\s*\{\s*\}\W*|(?:your "
    r"|the )?(?:final )?answer|and",
    re.IGNORECASE,
)
_PLACEHOLDER_IN_LINE = re.compile(
    r"[\s-]+|<[^<>]*>|\[[^\[\]]*\b(?:answer|number|value)\b[^\[\]]*\]|\{\w*\}", re.IGNORECASE
)
_CLOSING_TAGS = re.compile(r"(?:</\w{1,20}>[^\S\n]{0,4})+$")
_FORMULA = re.compile(
    r"(\$\$?(?=\\|$)|\\\[|\\\()\s*(?:\\(?:text\w{0,6}|mathbf|mathrm)\s?\{)?(?:[a-z]+\s){0,3}$"
)
"""Opening of a formula directly before a label, as in "$\\text{Answer: } 7$"."""
_FORMULA_CLOSERS = {"$": "$", "$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_CLOSERS = {"/": "*/", "<!--": "-->", "(": ")", "[": "]", "'": "'", "“": "”", "`": "`"}


def up_to_closer(value: str, before: str, label: str) -> str:
    """Cuts a value at the sign that closes a quotation, bracket or comment opened
    before the label.

    Args:
        before: the line up to the label. label: the text between `before` and
            `value`.
    """
    bare = before.rstrip("* _")
    if (formula := _FORMULA.search(before)) is not None:
        closers = [_FORMULA_CLOSERS[formula[1]]]
    else:
        closers = [closer for opener, closer in _CLOSERS.items() if bare.endswith(opener)]
    closers += ['"'] if (before + label).count('"') % 2 else []
    closers += ["|"] if before.lstrip().startswith("|") else []  # a table
    for closer in closers:
        value = value.partition(closer)[0]
    return _up_to_stray_brace(value) if before.count("{") > before.count("}") else value


def line_value(line: str) -> str:
    """Returns the value of a line without the prose after it; "" for a question or an
    introductory line.
    """
    sentence, terminator, _ = first_sentence(
        _STRUCK_OUT.sub("", without_tags(line)), is_prose=False
    )
    value = sentence.strip()
    if terminator in ("?", "？") or value.endswith((":", "：", "?", "？")):
        return ""
    is_explained = (
        NUMBER_FIRST.match(value) or _BOLD_FIRST.match(value) or _OPTION_FIRST.match(value)
    )
    value = tidy(without_explanation(value) if is_explained else value)
    return "" if _PLACEHOLDER_IN_LINE.fullmatch(value) else value


def without_tags(line: str) -> str:
    """Returns the line without styling tags and without closing tags at its end."""
    return _CLOSING_TAGS.sub("", _STYLING_TAG.sub("", line)) if "<" in line else line


def tidy(value: str) -> str:
    """Returns the value without emphasis, outer blanks and final full stop; "" for a
    placeholder or a text that is too long.
    """
    value = _TRAILING_OFF.sub(r"\1", _EMPHASIS.sub(r"\1", value).strip(TRIM))
    if len(value) > LONGEST_ANSWER or _PLACEHOLDER.fullmatch(value):
        return ""
    if value.endswith((".", "。", "．", ",", ";", "，", "；")) and not value.endswith(
        ("\\,", "\\;", "..")
    ):
        value = value[:-1]
    return value.strip(TRIM)


def _up_to_stray_brace(value: str) -> str:
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", value, re.DOTALL):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth < 0:
            return value[: brace.start()]
    return value


def first_sentence(text: str, *, is_prose: bool) -> tuple[str, str, str]:
    """Returns the first sentence, the sign that ends it, and the rest.

    After an explicit mark (not `is_prose`) a sentence ends only where another one
    begins: "5! = 120" is one sentence.
    """
    for sign in _SENTENCE_END.finditer(text):
        head, rest = text[: sign.start()], text[sign.end() :].lstrip(TRIM + "\"'”’)]")
        if sign[0] == "." and (
            _ABBREVIATION.search(head)
            or _INITIAL.search(head)
            or _INITIALS.match(text, max(0, len(head) - 2))
        ):
            continue
        if sign[0] == "." and rest[:1].islower() and _UNIT.search(head):
            continue
        if not rest and sign[0] == "!" and not is_prose:  # 5!
            continue
        new_sentence = not rest or rest[0].isupper() or sign[0] not in ".!?"
        if is_prose or new_sentence or (sign[0] == "." and _MEASURED.fullmatch(head.strip(TRIM))):
            return head, sign[0], rest
    return text, "", ""


def without_explanation(value: str) -> str:
    """Returns the value without the explanation after it."""
    if (bold := _BOLD_FIRST.match(value)) is not None:
        return bold[1]
    cuts = [_EXPLANATION.search(value, 1)]
    if NUMBER_FIRST.match(value.strip(TRIM)):
        cuts.append(_REMARK.search(value, 1))
    return value[: min((cut.start() for cut in cuts if cut is not None), default=len(value))]


def is_open(value: str) -> bool:
    """Whether a brace or formula in the value is not closed."""
    bare = re.sub(r"\\[{}]", "", value)
    return (
        bare.count("{") > bare.count("}")
        or value.count("\\(") > value.count("\\)")
        or value.count("\\[") > value.count("\\]")
    )


def looks_like_value(value: str, *, words: int = 10) -> bool:
    """Whether a value begins like a number or formula, or has few words."""
    count = len(value.lower().removesuffix(" of the above").split())
    if NUMBER_FIRST.match(value):
        return count <= words or "\\" in value or (value.startswith("$") and value.endswith("$"))
    if all(word in _WORDS_OF_FORMULAS for word in _WORD.findall(value.lower())):
        return count <= words
    if any(character.isdigit() or character == "\\" for character in value):
        return count <= 4
    return count <= 3
