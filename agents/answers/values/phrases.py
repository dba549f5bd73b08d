"""Reads the only number of a phrase: "She makes $18 every day", "48 + 24 = 72"."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from agents.answers.values.expression import UnreadableError, parse
from agents.answers.values.numbers import (
    SCALE,
    Number,
    read_literal,
    read_number_words,
    read_quantity,
    scale_of,
)
from agents.answers.values.rational import exact
from agents.answers.values.units import read_currency, read_unit

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_RATIO = r"(?:[0-9]+ )?[0-9]+ ?/ ?[0-9]+"
_IN_PHRASE = re.compile(
    r"(?<![\w.,+*/^!-])(?<![-+*/=] )"
    r"(?P<sign>[-+] ?)?(?P<currency>[$€£¥₹₩] ?)?(?P<sign2>[-+] ?)?"
    rf"(?P<number>{_RATIO}|{_DIGITS})"
    r"(?![\w^!]|[.,][0-9]| ?[-+*/=] ?[\w(])"
)
_PHRASE = re.compile(r"[\w\s.,'’\"%:;()\[\]/+$€£¥₹₩?!-]*")  # no algebra, no LaTeX
_PARTS = "third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth"
_REFUSED = re.compile(
    r"\b(?:not|never|no|or|and|than|between|minus|plus|times|halves|half|twice|thrice|dozens?"
    r"|hundreds?|thousands?|millions?|billions?|trillions?|opposite|inverse|reciprocal|sqrt|pi"
    r"|cannot|neither|except|excluding|instead|unless|ruled out|below zero|bce?"
    rf"|(?:{_PARTS})s?"
    r"|negative|squared|cubed|root|factorial|log|ln|sin|cos|tan|base|mod|modulo"
    r"|wrong|incorrect|false|at least|at most|up to|almost|nearly"
    r"|(?<!['’/])[b-z])\b|n['’]t\b",
    re.IGNORECASE,
)
_CHANGED_BEFORE = re.compile(
    r"\b(?:before|below|under|above|over|beyond|past|within|close "
    r"to|exceed(?:s|ed|ing)?|but|double|triple"
    r"|quadruple)(?: the)? $",
    re.IGNORECASE,
)
_CHANGED_BEHIND = re.compile(
    r" (?:(?:times )?(?:doubled|tripled|halved|multiplied|divided|added|subtracted|increased"
    r"|decreased)|[- ]?fold|less than|fewer than|more than)\b",
    re.IGNORECASE,
)
"""Words directly after a number that change it or make it a bound."""
_ASIDE = re.compile(r"\(([^()]+)\)")
_NUMBER_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?")
_ALGEBRA = re.compile(
    r"\b(?:not|never)\b|n['’]t\b|(?<![A-Za-z'’])(?![aI]\b|(?<=[0-9] )x [0-9])[A-Za-z](?![A-Za-z])",
    re.IGNORECASE,
)
"""Left of an equals sign: signs that the right side is not the answer's value ("2x =
36")."""
_PRONOUNS = ("one", "zero")  # "the one that she sold"


def read_phrase(text: str) -> Number | None:
    """Returns the only number of a spelled text, or None; the right side of an equals
    sign takes precedence.
    """
    left, equals, right = text.rpartition("=")
    if equals and not left.endswith(("<", ">", "!")) and not _ALGEBRA.search(left):
        after = read_quantity(right.strip()) or _only_number(right)
        if after is not None and _contradicts(left, after):
            return None
        if after is not None:
            return after
    return _only_number(text)


def _contradicts(left: str, right: Number) -> bool:
    """Whether the arithmetic left of an equals sign has another value ("1 + 1 = 3").
    Rounded fractions do not contradict.
    """
    try:
        value = exact(parse(re.sub("[$€£¥₹₩₽]", "", left)))
    except UnreadableError:
        return False
    if value is None or value == right.value:
        return False
    return value.denominator == 1 or abs(value - right.value) >= 1


def _only_number(text: str) -> Number | None:
    """Returns the number of a phrase without other digits, or None."""
    if not _PHRASE.fullmatch(text) or not any(sign.isalpha() for sign in text):
        return None
    match = _IN_PHRASE.search(text)
    if match is None:
        return _only_words(text)
    found = read_literal(match["number"])
    if found is None:
        return None
    number, end, scale = found[0], match.end(), 1
    while (word := SCALE.match(text, end)) is not None:
        scale, end = scale * scale_of(word), word.end()
    if _CHANGED_BEFORE.search(text[: match.start()]) or _CHANGED_BEHIND.match(text, end):
        return None
    next_word = _NUMBER_WORD.match(text[end:].lstrip())
    if next_word is not None and read_number_words(next_word[0]) is not None:  # "3 thousand five"
        return None
    rest = text[: match.start()] + " " + text[end:]
    asides = _ASIDE.findall(rest)
    if any(read_number_words(aside) is not None for aside in asides):  # "18 (nineteen)"
        return None
    if any(sign.isdigit() for sign in rest) or _REFUSED.search(rest):  # "A1 costs 5", "18 or more"
        return None
    is_negative = "-" in (match["sign"] or "") + (match["sign2"] or "")
    number = replace(number, value=(-1 if is_negative else 1) * scale * number.value)
    if scale > 1:
        number = replace(number, places=None)
    if re.match(" ?%| percent", text[end:]):
        return replace(number, value=number.value / 100, is_percent=True)
    currency = read_currency(match["currency"]) if match["currency"] else None
    return replace(number, unit=currency[0] if currency else _unit(text[end:]))


def _unit(rest: str) -> str | None:
    """Returns the longest known unit (up to three words) at the beginning of `rest`, or
    None.
    """
    ends = [word.end() for word in re.finditer(r" ?[^\s,.]+", rest)][:3]
    return next(
        (unit for end in reversed(ends) if (unit := read_unit(rest[:end], known=True)) is not None),
        None,
    )


def _only_words(text: str) -> Number | None:
    """Returns the number of a phrase whose only number is in words, or None."""
    if any(sign.isdigit() for sign in text):
        return None
    words = list(_NUMBER_WORD.finditer(text))
    for start, first in enumerate(words):
        for last in reversed(words[start : start + 12]):
            value = read_number_words(text[first.start() : last.end()])
            if value is None:
                continue
            rest = text[: first.start()] + text[last.end() :]
            behind = next((word[0] for word in words if word.start() >= last.end()), "")
            if first[0][0].isupper() and behind[:1].isupper():  # "The Three Musketeers"
                return None
            others = [word[0] for word in _NUMBER_WORD.finditer(rest)]
            if _REFUSED.search(rest) or (first[0].casefold() in _PRONOUNS and first is last):
                return None
            if any(read_number_words(word) is not None for word in others):
                return None
            return Number(Fraction(value), _unit(text[last.end() :]))
    return None
