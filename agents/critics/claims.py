"""Finds arithmetic claims in running text and computes whether they are true.

A claim is a computation, a relation, and a value: "12 apples * 3 = 36 apples", "20% of
50 is 10", "twelve plus seven is nineteen", `\\frac{3}{4} \\times 20 = 15`. A chain "2 +
3 * 4 = 2 + 12 = 14" is two claims. Values are exact rational numbers.

A text is cut at relations into sides. A claim joins the longest computation at the end
of one side with the longest value at the beginning of the next one. Units, currencies
and emphasis are ignored. A side with a variable, a time, a date, a ratio or a version
is not read, so "x + 3 = 7" is no claim. A claim is true if one of its readings is. A
false one that may have another explanation is left out: a unit conversion, an operand
that was rounded before, "50 + 20% = 60". A decimal may be rounded or truncated at its
last digit; an integer may be rounded only after a word of approximation.

The work is linear in the text: pieces have at most `LONGEST_PIECE` characters, sides at
most `_MOST_TOKENS` tokens, and numbers at most `_MOST_BITS` bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from agents.answers.values.expression import UnreadableError, parse
from agents.answers.values.rational import exact
from agents.answers.values.spelling import spell
from agents.answers.values.units import read_unit
from agents.critics.claim_words import IS, digits_of_words, symbols_of_words

LONGEST_PIECE = 600
"""In characters. A longer line is cut, and a claim at the cut is lost."""

_MOST_TOKENS = 60
_MOST_STARTS = 16
_MOST_BITS = 2000
_LONGEST_UNIT = 10  # words
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_ANNOTATION = re.compile(r"<<[^<>\n]*>>")
"""A calculator's annotation in GSM8K: "12*3 = <<12*3=36>>36"."""
_LINE = re.compile(
    r"\n+|\\\\(?=\s|$|\[)|\\newline|[;•]|(?<=[a-z\d)%}])[.!](?=\s+[A-Z(\\$*])|(?<=\?)"
)
_LABEL = re.compile(
    r"^(?:\s*(?:[-*+>#•]+\s+|\(?[0-9]{1,2}[.)]\s+|\(?[a-zA-Z]\)\s+|\**(?:step|day|week|month|part"
    r"|case|question|option|section|problem|example|no\.?|number)\s*[0-9]+\s*[-:.)]+\**\s*))+",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(
    r"(?<![0-9) ])\*\*|\*\*(?![0-9( ])|(?<=\s)\*\*(?=\S)|(?<=\S)\*\*(?=\s|$)|`|__|&|\\boxed"
)
_TOKEN = re.compile(
    r"(?P<other>[0-9]+(?::[0-9]+)+|[0-9]+(?:\.[0-9]+){2,}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{1,2}/[0-9]{1,2}/(?:19|20)?[0-9]{2}(?![0-9.])|v[0-9]+(?:\.[0-9]+)*|0[0-9]+(?![0-9.])"
    r"|[0-9]+(?:st|nd|rd|th)\b|==+|[<>!:]=|=>|\\(?:Rightarrow|implies|to|le|ge|ne|pm|in)\b|\?)"
    r"|(?P<approx>\\approx(?![A-Za-z])|\\sim(?:eq)?(?![A-Za-z])|=~)"
    r"|(?P<relation>=|⟹is⟸)"
    r"|(?P<number>[0-9]+(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<percent>\\?%|(?:percent|per cent)\b)"
    r"|(?P<operator>\*\*|[-+*/^]|\\(?:times|cdot|div|ast)(?![A-Za-z]))"
    r"|(?P<open>[({\[]|\\[({\[])|(?P<close>[)}\]]|\\[)}\]])"
    r"|(?P<function>\\(?:frac|sqrt)(?![A-Za-z])|sqrt(?![A-Za-z]))"
    r"|(?P<bang>!(?![=!]))"
    r"|(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*\.?|°[CF]?)"
    r"|(?P<money>\\?[$€£¥₹])|(?P<blank>\s+)|(?P<mark>.)",
    re.DOTALL,
)
_BRACKETS = {"\\(": "", "\\)": "", "\\[": "", "\\]": "", "[": "(", "]": ")"}
_ASIDE = re.compile(r"(?<=\w) \((?=[^()]*[A-Za-z])(?:[^()0-9=]|(?<=[ (a-z])[0-9]+(?= [a-z]))*\)")
"""Words in brackets: "1 (Jose) + 4", "6 pills (first 2 days) + 2 pills"."""
_NOT_IN_UNIT = re.compile(
    r"\b(?:and|or|than|times|plus|minus|twice|half|double|triple|is|are|was|were|equals?|gives?"
    r"|makes?|if|but|not|so|because|since|squared|cubed|divided|multiplied|mod|remainder"
    r"|[b-zB-HJ-Z]|am|pm|o['’]clock)\b\.?",
)
"""Words after a number that are no part of its unit."""
_AFTER_VALUE = re.compile(
    r"\s*(?:rem(?:ainder)?\b|[rR]\b|(?:or|to) [$€£]?[0-9]|mod\b|am\b|pm\b|a\.m|p\.m|o'clock"
    r"|and (?:an? (?:half|third|quarter)|[0-9]+/[0-9])|is (?:wrong|incorrect|false|not)\b|\?)",
)
_AFTER_WORDS = re.compile(r"\s*(?:[a-z]+ ){0,3}(?:more|less|fewer|times|older|younger)\b")
"""After "is": "5 times 4 is 6 more than 14"."""
_FRACTION = re.compile(r"[0-9]+/[0-9]+|\\frac\{[0-9]+\}\{[0-9]+\}")
_DIVIDED_BY_FRACTION = re.compile(r"(?:/|\\div)\(?[0-9.]+\)?/")
"""Two divisions: "25 / 1/3" may be meant as 25 / (1/3)."""
_LETTER_UNITS = frozenset(["m", "g", "l", "L", "s", "h", "N", "J", "W", "V"])
_REMAINDER = re.compile(r"remain|left|over|whole|full|complete", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:not|never|n't|if|whether|suppose|instead of|unless|wrong|incorrect|say)"
    r"(?: \w+){0,2}[ :,\"'(\[$\\]*$",
    re.IGNORECASE,
)
_ROUNDED = re.compile(r"\W{0,4}(?:when |if |is )?(?:rounded|round(?:ing)?|approx)", re.IGNORECASE)
_CONVERSIONS = frozenset(
    Fraction(factor)
    for factor in (2, 3, 4, 5, 7, 10, 12, 16, 20, 24, 25, 30, 36, 52, 60, 100, 365, 1000, 1440)
) | {Fraction(factor) for factor in (1760, 3600, 5280, 10**4, 10**6, 10**9)}
"""Factors between units of one kind, and counts such as a dozen or a score."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An arithmetic claim of a text."""

    text: str
    """The claim in symbols: "12*3 = 35"."""
    is_true: bool
    value: Fraction
    """Exact value of the computation."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Side(NamedTuple):
    """A computation or value in one reading."""

    expression: str
    value: Fraction
    has_operation: bool
    computes: bool
    """Whether it has an operation and is not a proper fraction or a percentage."""
    units: frozenset[str]
    places: int | None
    """Decimal places, if the side is one decimal number."""
    trailing_zeros: int
    is_percent: bool
    all_percent: bool
    adds_percent: bool
    has_decimal: bool
    """Whether an operand has two decimal places or more."""
    is_open: bool
    """Whether a dash beside it may be a minus sign of something unread."""
    first: int
    """Where its tokens begin."""
    end: int
    """Where its last number ends."""
    last: int
    """Where its tokens end."""


def find_claims(text: str) -> list[Claim]:
    """Returns the arithmetic claims of a text, in order."""
    plain = _ANNOTATION.sub("", _CODE.sub("\n", text))
    return [claim for piece in _pieces(plain) for claim in _claims_of(piece)]


def _pieces(text: str) -> Iterator[str]:
    """Yields lines and sentences with a digit or a number word, without their list
    marks.
    """
    start = 0
    for end in [*(match.end() for match in _LINE.finditer(text)), len(text)]:
        for first in range(start, end, LONGEST_PIECE):
            piece = text[first : min(first + LONGEST_PIECE, end)]
            if piece.strip():
                yield _LABEL.sub("", piece)
        start = end


def _claims_of(piece: str) -> Iterator[Claim]:
    spelled = digits_of_words(spell(_EMPHASIS.sub(" ", piece)))
    spelled = _ASIDE.sub("", symbols_of_words(spelled))
    tokens = [_token(match) for match in _TOKEN.finditer(spelled)]
    cuts = [n for n, token in enumerate(tokens) if token.kind in ("relation", "approx")]
    ends = [-1, *cuts, len(tokens)]
    for number, cut in enumerate(cuts):
        left = _read_left(tokens[ends[number] + 1 : cut], spelled)
        right = _read_right(tokens[cut + 1 : ends[number + 2]], spelled)
        if left is None or right is None or not (left.has_operation or right.has_operation):
            continue
        behind = spelled[right.last :]
        if _AFTER_VALUE.match(behind) or _HEDGE.search(spelled[: left.first][-60:]):
            continue
        is_word = tokens[cut].text == IS
        if is_word and (not left.computes or _AFTER_WORDS.match(spelled[right.end :])):
            continue
        about = tokens[cut].kind == "approx" or _ROUNDED.match(behind) is not None
        is_true = _compare(left, right, about=about)
        is_part = 0 < abs(left.value - right.value) < 1 and right.value.denominator == 1
        if is_true is False and is_part and _REMAINDER.search(behind[:80]):
            continue
        if is_true is not None:
            sign = "≈" if about else "="
            yield Claim(f"{left.expression} {sign} {right.expression}", is_true, left.value)


def _token(match: re.Match[str]) -> _Token:
    kind = match.lastgroup or "mark"
    text = match[0]
    if kind in ("open", "close"):
        text = _BRACKETS.get(text, text)
        kind = kind if text else "blank"
    return _Token(kind if kind != "money" else "blank", text, match.start(), match.end())


def _read_left(tokens: Sequence[_Token], spelled: str) -> _Side | None:
    """Returns the longest computation that ends a side."""
    tokens = [token for token in tokens[-_MOST_TOKENS:] if token.kind != "blank"]
    while tokens and tokens[-1].text in (",", ":"):
        tokens = tokens[:-1]
    starts = [n for n, token in enumerate(tokens) if token.kind in ("number", "open", "function")]
    for start in starts[-_MOST_STARTS:]:
        before = tokens[start - 1] if start else None
        is_open = False
        if before is not None:
            outer = tokens[start - 2] if before.kind == "open" and start > 1 else None
            if outer is not None and outer.kind in ("operator", "number", "function", "open"):
                continue  # the bracket is not closed
            if before.kind in ("operator", "number", "percent", "close", "bang", "function"):
                earlier = tokens[start - 2] if start > 1 else None
                is_sign = before.text == "-" and (
                    earlier is None or earlier.kind in ("word", "mark", "open")
                )
                if not is_sign:
                    continue
                start, is_open = start - 1, earlier is not None and earlier.kind == "word"
                if is_open and before.end < tokens[start + 1].start:
                    start += 1  # "Total - 5 + 3": a dash
            elif before.end == tokens[start].start and (
                before.kind == "word" or before.text in (",", ".", ":", "_", "'")
            ):
                continue  # "f(2)", "16,0000"
        side = _evaluate(tokens[start:], spelled, is_open=is_open)
        if side is not None:
            return side
    return None


def _read_right(tokens: Sequence[_Token], spelled: str) -> _Side | None:
    """Returns the longest value or computation that begins a side."""
    tokens = [token for token in tokens[:_MOST_TOKENS] if token.kind != "blank"]
    end, depth, is_open = 0, 0, False
    expects = True  # an operand
    while end < len(tokens):
        token = tokens[end]
        follows = tokens[end + 1] if end + 1 < len(tokens) else None
        if token.kind in ("open", "close"):
            depth += 1 if token.kind == "open" else -1
            if depth < 0:
                break
            if token.kind == "open" and not expects and _is_aside(tokens[end:]):
                break
            expects = token.kind == "open"
        elif token.kind in ("number", "function"):
            if not expects:
                break
            expects = token.kind == "function"
        elif token.kind == "operator":
            if expects and token.text not in ("-", "+"):
                return None
            if token.text == "/" and follows is not None and _is_unit_word(follows):
                end += 2
                break
            if not expects and (follows is None or follows.kind in ("word", "mark", "relation")):
                if token.text != "-" or (follows is not None and len(follows.text) < 2):
                    return None
                is_open = True
                break
            expects = True
        elif token.kind in ("percent", "bang"):
            if expects:
                break
        elif token.kind == "word" and not expects:
            run = _unit_run(tokens[end:])
            if run == 0 or end + run >= len(tokens):
                end += run
                break
            if tokens[end + run].kind not in ("operator", "close"):
                end += run
                break
            end += run - 1
        else:
            break
        end += 1
    if depth > 0 or expects or end == 0:
        return None
    if end < len(tokens):
        token, before = tokens[end], tokens[end - 1]
        is_stuck = token.start == before.end and before.kind == "number"
        is_part = is_stuck and token.kind in ("word", "other", "function")
        if is_part or (token.kind == "mark" and token.text in ":_"):
            return None
        if before.kind == "number" and token.text[0].isdigit():
            return None
        is_letter = token.kind == "word" and len(token.text) == 1 and token.text not in "aI"
        if is_letter and before.kind != "word":
            return None
        if _is_compound(tokens[end:]):
            return None
    return _evaluate(tokens[:end], spelled, is_open=is_open)


def _is_aside(tokens: Sequence[_Token]) -> bool:
    """Whether a bracket after a number holds words: "36 (in total)"."""
    return len(tokens) > 1 and tokens[1].kind == "word"


def _is_compound(tokens: Sequence[_Token]) -> bool:
    """Whether a second quantity continues the first: "2 hours and 30 minutes"."""
    rest = [token for token in tokens[:3] if token.text not in ("and", ",")]
    return (
        len(rest) > 1
        and tokens[0].text in ("and", ",")
        and rest[0].kind == "number"
        and rest[1].kind == "word"
        and read_unit(" " + rest[1].text, known=True) is not None
    )


def _unit_run(tokens: Sequence[_Token]) -> int:
    """Returns the number of tokens of the unit that begins here: the longest run of
    words, also "dollars/hour" and "m^2"; 0 if they are no unit.
    """
    end = 0
    while end < min(len(tokens), _LONGEST_UNIT) and _is_unit_word(tokens[end]):
        end += 1
    if not end:
        return 0
    rest = tokens[end : end + 2]
    if len(rest) == 2 and rest[0].text == "/" and _is_unit_word(rest[1]):
        return end + 2
    if len(rest) == 2 and rest[0].text == "^" and rest[1].text in ("2", "3"):
        return end + 2
    if [token.text for token in tokens[end : end + 4]] in (["^", "{", n, "}"] for n in "23"):
        return end + 4
    return end


def _is_unit_word(token: _Token) -> bool:
    if token.kind != "word":
        return False
    return not _NOT_IN_UNIT.fullmatch(token.text) or token.text in _LETTER_UNITS


def _evaluate(tokens: Sequence[_Token], spelled: str, *, is_open: bool) -> _Side | None:
    """Returns the value of a whole run of tokens; None if they are no computation."""
    written: list[str] = []
    units: set[str] = set()
    numbers: list[_Token] = []
    percents = operations = 0
    adds_percent = False
    at = 0
    while at < len(tokens):
        token = tokens[at]
        before = tokens[at - 1] if at else None
        if token.kind == "word":
            run = _unit_run(tokens[at:])
            is_stuck = before is not None and before.end == token.start
            name = " ".join(one.text for one in tokens[at : at + run] if one.kind == "word")
            if not run or before is None or before.kind not in ("number", "close", "percent"):
                return None
            if is_stuck and read_unit(" " + name, known=True) is None and len(name) < 3:
                return None
            after = tokens[at + run] if at + run < len(tokens) else None
            if after is not None and after.kind not in ("operator", "close"):
                return None
            is_open = is_open or (is_stuck and len(name) == 1)
            units.add(read_unit(" " + tokens[at].text) or name)
            at += run
            continue
        if token.kind in ("other", "mark", "relation", "approx"):
            return None
        if token.text == "/" and at + 1 < len(tokens) and tokens[at + 1].kind == "word":
            if before is None or before.kind != "number" or not _is_unit_word(tokens[at + 1]):
                return None
            at += 2  # "25/hour"
            continue
        if token.kind == "number":
            if before is not None and before.kind in ("percent", "bang", "number"):
                return None
            numbers.append(token)
        if token.kind == "percent":
            percents += 1
            minus = at >= 2 and tokens[at - 2].text in ("+", "-")
            adds_percent = adds_percent or minus
            written.append("%")
        elif token.kind == "function":
            written.append("\\" + token.text.lstrip("\\"))
        else:
            written.append(token.text)
        is_sign = token.text in ("+", "-") and (before is None or before.kind in ("open",))
        operations += (token.kind == "operator" and not is_sign) or token.kind in (
            "function",
            "bang",
        )
        operations += token.kind == "open" and before is not None and before.kind == "number"
        at += 1
    expression = "".join(written)
    try:
        value = exact(parse(expression), bits=_MOST_BITS)
    except UnreadableError:
        return None
    if value is None or not numbers:
        return None
    single = numbers[0].text.replace(",", "") if len(numbers) == 1 else ""
    decimals = [len(number.text.partition(".")[2]) for number in numbers]
    return _Side(
        expression=expression,
        value=value,
        has_operation=operations > 0,
        computes=operations > 0 and not (_FRACTION.fullmatch(expression) and abs(value) < 1),
        units=frozenset(units),
        places=decimals[0] if single and decimals[0] and not operations else None,
        trailing_zeros=len(single) - len(single.rstrip("0")) if single.isdigit() else 0,
        is_percent=percents > 0 and len(numbers) == 1,
        all_percent=0 < percents == len(numbers),
        adds_percent=adds_percent and percents < len(numbers),
        has_decimal=max(decimals) >= 2,
        is_open=is_open,
        first=tokens[0].start,
        end=numbers[-1].end,
        last=tokens[-1].end,
    )


def _compare(left: _Side, right: _Side, *, about: bool) -> bool | None:
    """Returns whether a claim is true; None if a false one may have another
    explanation.
    """
    readings = [right.value]
    if right.is_percent:
        readings.append(100 * right.value)
    elif left.all_percent or "100%" in left.expression:
        readings.append(right.value / 100)
    if any(_is_rounded(left.value, value, right, about=about) for value in readings):
        return True
    if left.is_open or right.is_open or left.adds_percent or right.adds_percent:
        return None
    if not left.computes and right.has_operation:
        return None  # a quantity in other words: "$15/hour = 15 * 7"
    if _DIVIDED_BY_FRACTION.search(left.expression) or "%%" in left.expression:
        return None
    difference = abs(left.value - right.value)
    scale = max(abs(left.value), abs(right.value))
    if (left.has_decimal or right.has_decimal) and 200 * difference <= scale:
        return None
    if about and 10 * difference <= scale:
        return None
    if left.value and right.value and left.units | right.units and left.units != right.units:
        ratio = abs(right.value / left.value)
        if max(ratio, 1 / ratio) in _CONVERSIONS:
            return None
    return False


def _is_rounded(exact_value: Fraction, stated: Fraction, side: _Side, *, about: bool) -> bool:
    """Whether a stated value is the exact one, or its decimal rounded or truncated at
    the last digit shown.
    """
    if exact_value == stated:
        return True
    places = side.places
    if places is None and not about:
        return False
    if side.has_operation:
        return False
    unit = Fraction(1, 10 ** (places or 0)) * (1 if places else 10**side.trailing_zeros)
    if side.is_percent and stated == side.value:
        unit /= 100
    missed = abs(exact_value) - abs(stated)
    if exact_value * stated < 0:
        return False
    return -unit / 2 <= missed < unit / 2 or (0 <= missed < unit and not _terminates(exact_value))


def _terminates(value: Fraction) -> bool:
    """Whether a number has a decimal of finitely many places."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1
