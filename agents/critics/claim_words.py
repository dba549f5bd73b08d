"""Writes arithmetic in words as symbols: "twelve plus seven is nineteen" becomes "12 +
7 = 19", "half of 48" becomes "(1/2) * 48".
"""

from __future__ import annotations

import re

from agents.answers.values.numbers import read_number_words, read_quantity

IS = "⟹is⟸"
"""A verb between a computation and its value, which alone is no sign of arithmetic."""

_NUMBER_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty"
    " ninety hundred thousand million billion"
)
_NAME = rf"(?:{'|'.join(_NUMBER_NAMES.split())})"
_NUMBER_WORDS = re.compile(
    rf"(?<![\w-])(?:an? (?=hundred|thousand|million|billion))?{_NAME}(?:(?:[ -]| and )(?:{_NAME}))*"
    r"(?![\w-])(?!-)",
    re.IGNORECASE,
)
_PRONOUN_BEFORE = re.compile(r"\b(?:each|this|that|every|the|which|another|any|no|some)\s$", re.I)
_PARTS = "half|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?"
_FRACTION = re.compile(
    rf"(?<![\w-])(?P<fraction>(?:(?:an?|one|two|three|four|five|six|seven|eight|nine|[1-9])[ -])?"
    rf"(?:{_PARTS})) of (?=[\d$(\\]|{_NAME})",
    re.IGNORECASE,
)
_UNIT_WORDS = (
    r"(?: (?!(?:and|by|from|to|with|of|than|is|are|was|were|equals?|gives?|makes?|leaves?|yields?"
    r"|comes|results|we|you|times|plus|minus)\b)[a-z]+){0,2}"
)
_AMOUNT = r"[$€£]?\d[\d,]*(?:\.\d+)?(?: ?%)?"
_A, _B = rf"(?P<a>{_AMOUNT}){_UNIT_WORDS}", rf"(?P<b>{_AMOUNT}){_UNIT_WORDS}"
_NO_SCALE = r"(?! (?:dozen|hundred|thousand|million|times|percent))"
_MIXED = re.compile(r"(?<![\d.,/^])(\d{1,4}) (?:and )?(\d{1,3}/\d{1,4})(?![\d.,/])")
"""A mixed number: "2 1/2", "1 and 1/4"."""
_THOUSANDS = re.compile(r"(?<=\d) 000(?![\d,.])")
_CYCLE = re.compile(r"\\overline ?\{ ?(\d{1,3}) ?\}")
_ELLIPSIS = re.compile(r"(?<=\.\d)(?<=\d)\.{3,}|(?<=\d\d)(?:\.{3,}|\\[lc]?dots)(?!\d)")
_PHRASES = tuple(
    (re.compile(pattern, re.IGNORECASE), symbols)
    for pattern, symbols in (
        (rf"\bsum of {_A} and {_B}", r"(\g<a> + \g<b>)"),
        (rf"\bproduct of {_A} and {_B}", r"(\g<a> * \g<b>)"),
        (rf"\bdifference (?:between|of) {_A} and {_B}", r"(\g<a> - \g<b>)"),
        (rf"\bquotient of {_A} and {_B}", r"(\g<a> / \g<b>)"),
        (rf"\badd(?:ing)? {_A} (?:and|to|with) {_B}", r"(\g<a> + \g<b>)"),
        (rf"\bmultiply(?:ing)? {_A} (?:and|by|with) {_B}", r"(\g<a> * \g<b>)"),
        (rf"\bdivid(?:e|ing) {_A} by {_B}", r"(\g<a> / \g<b>)"),
        (rf"\bsubtract(?:ing)? {_A} from {_B}", r"(\g<b> - \g<a>)"),
        (rf"{_A} subtracted from {_B}", r"(\g<b> - \g<a>)"),
        (rf"(?<![=$] )(?<![=$\d.,]){_A} more than {_B}{_NO_SCALE}", r"(\g<a> + \g<b>)"),
        (rf"(?<![=$] )(?<![=$\d.,]){_A} (?:less|fewer) than {_B}{_NO_SCALE}", r"(\g<b> - \g<a>)"),
    )
)
_NUMERIC = r"(?=[$€£(\\]*\d|\\frac|\()"
_OPERATIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), symbol)
    for pattern, symbol in (
        (
            rf"(?<!\\)\b(?:multiplied by|times as (?:many|much|old|long|tall) as|times) {_NUMERIC}",
            "* ",
        ),
        (r"(?:(?<=[\d)%}]) ?|(?<=[a-z)] ))x ?(?=\$?\.?\d|\\frac)|(?<=[a-z\d)%}] )x (?=\()", " * "),
        (r"\btimes(?= [*×x] )", ""),
        (rf"\bdivided by {_NUMERIC}", "/ "),
        (rf"\b(?:plus|added to) {_NUMERIC}", "+ "),
        (rf"\bminus {_NUMERIC}", "- "),
        (rf"\b(?:twice|double) {_NUMERIC}", "2 * "),
        (rf"\btriple {_NUMERIC}", "3 * "),
        (r"(?<=\d) squared\b", "^2"),
        (r"(?<=\d) cubed\b", "^3"),
        (r"(?:(?<=[%}])|(?<=percent)|(?<=\d/\d)|(?<=\d/\d\d)|(?<=/\d\))) of (?=[$(]?\d)", " * "),
    )
)
_ABOUT = r"(?:approximately|about|around|roughly|nearly|almost|~)"
_VERB = (
    r"(?:(?:is|are|was|were|be|becomes?) equal to|equals?(?: to)?|is|are|gives?(?: us| you)?"
    r"|makes?|leaves?(?: \w+ with| us with)?|yields?|comes to|results in|(?:to|we|you) get)"
)
_ONLY = r"(?: (?:only|exactly|just|a total of|also))?"
_RELATIONS = (
    (re.compile(rf"(?:=|\b{_VERB}) {_ABOUT} ?(?=[-$€£(\\]*\d)", re.IGNORECASE), r" \\approx "),
    (
        re.compile(rf"\b{_VERB}{_ONLY}(?= [-$€£(\\]*\d|:? \\)", re.IGNORECASE),
        IS,
    ),
)


def digits_of_words(text: str) -> str:
    """Returns the text with numbers in words as digits; pronouns stay ("each one")."""
    return _NUMBER_WORDS.sub(_number, _FRACTION.sub(_fraction, text))


def symbols_of_words(text: str) -> str:
    """Returns the text with words of operations and relations as symbols."""
    text = _THOUSANDS.sub(",000", text)
    text = _CYCLE.sub(lambda cycle: 6 * cycle[1], _ELLIPSIS.sub("", text))
    text = _MIXED.sub(r"(\1+\2)", text)
    for pattern, symbols in (*_PHRASES, *_OPERATIONS, *_RELATIONS):
        text = pattern.sub(symbols, text)
    return text


def _number(words: re.Match[str]) -> str:
    if words[0].casefold() == "one" and _PRONOUN_BEFORE.search(words.string[: words.start()][-10:]):
        return words[0]
    value = read_number_words(words[0])
    return words[0] if value is None else str(value)


def _fraction(words: re.Match[str]) -> str:
    number = read_quantity(words["fraction"])
    if number is None:
        return words[0]
    return f"({number.value.numerator}/{number.value.denominator}) * "
