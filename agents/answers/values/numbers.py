"""Reads numbers in answers: literals, number words, scales, percent signs, currencies
and units.

A literal is "1,234.50", "1 234", "3/4", `\\frac{3}{4}`, `3\\frac{1}{2}`, "2e6", `1.2
\\times 10^{-5}`. A computation ("48 + 24") is an expression, not a literal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from agents.answers.values.units import read_currency, read_unit

_INTEGER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?: [0-9]{3})+(?![0-9/]| ?/)|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+)?|\.[0-9]+)"
_SIGN = r"(?:[-+] ?)?"
_FRAC = (
    rf"\\frac ?\{{ ?(?P<top>{_SIGN}[0-9][0-9,]*) ?\}} ?\{{ "
    rf"?(?P<bottom>{_SIGN}[0-9][0-9,]*) ?\}}"
)
_POWER = (
    r"10 ?(?:\^|\*\*) ?(?:\{ ?(?P<{0}>[-+]?[0-9]{1,3}) "
    r"?\}|\(?(?P<{1}>[-+]?[0-9]{1,3})\)?(?![0-9]))"
)
_TEN = _POWER.replace("{0}", "p1").replace("{1}", "p2")
_TIMES_TEN = rf" ?(?:\\times|\\cdot|\*|x) ?{_POWER.replace('{0}', 'p3').replace('{1}', 'p4')}"
_LITERAL = re.compile(
    r"(?>(?P<head>[0-9]*\.[0-9]*)\\overline ?\{ ?(?P<cycle>[0-9]+) ?\}"
    rf"|(?:(?P<whole>[0-9]+) ?)?{_FRAC}(?! ?[\^!])"
    rf"|(?:(?P<count>[0-9]+) )?(?P<over>[0-9]+) ?/ ?(?P<under>[0-9]+)(?![.,]?[0-9]| ?[\^!])"
    rf"|{_TEN}"
    rf"|(?P<mantissa>{_DECIMAL})(?:[eE](?P<e>[-+]?[0-9]{{1,3}})(?![0-9])|{_TIMES_TEN})?(?! "
    r"?[\^!_]|[0-9]))"
)
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_WORDS = {word: number for number, word in enumerate(_UNITS.split())}
_TENS_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * number for number, word in enumerate(_TENS_NAMES.split(), 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SCALE = re.compile(
    rf" (?:(hundred) )?(hundred|dozens?|{'|'.join(_SCALES)})(?![A-Za-z])", re.IGNORECASE
)
_SHORT_SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "bn": 10**9, "B": 10**9}
_SHORT_SCALE = re.compile(r" ?(k|K|M|mn|bn|B)(?![A-Za-z/])")
"""Only after an amount of money ("$3.5M"); elsewhere a letter is a unit or a name."""
_PARTS_NAMES = "half third quarter fifth sixth seventh eighth ninth tenth"
_PARTS = {name: number for number, name in enumerate(_PARTS_NAMES.split(), 2)}
_PARTS |= {"fourth": 4, "hundredth": 100, "thousandth": 1000, "halve": 2}
_FRACTION_WORDS = re.compile(
    r"(?:(?P<whole>[0-9]{1,6}|[a-z -]{1,60}?) and )?(?:(?P<count>[a-z -]{1,60}?)[ -])?"
    rf"(?P<part>{'|'.join(_PARTS)})s?(?![A-Za-z]| (?:of|past|to)(?![A-Za-z]))",
    re.IGNORECASE,
)
_HAN_DIGITS = {sign: number for number, sign in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
}
_HAN_SCALES = {"十": 10, "百": 100, "千": 10**3, "万": 10**4, "亿": 10**8}
_HAN = re.compile(f"[{''.join([*_HAN_DIGITS, *_HAN_SCALES])}]{{1,20}}(?=$| |元)")
_TITLE = re.compile("[A-Z][a-z-]* [A-Z]")
"""The beginning of a name such as "Seven Samurai"."""
_SIGN_WORD = re.compile(r"^(?:minus|negative) (?=[0-9$])", re.IGNORECASE)
_PERCENT = re.compile(r" ?%| (?:percent|per cent)(?![A-Za-z])", re.IGNORECASE)
_ASIDE = re.compile(r"(?P<outer>.*\S) ?\((?P<aside>[^()]+)\)")
_NOISE_DIGITS, _SHORT_DIGITS, _ROUNDED_DIGITS = 15, 12, 8


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number with its unit and notation."""

    value: Fraction
    unit: str | None = None
    """In canonical spelling: "km/hour", "dollar"; unknown units keep their words."""
    is_percent: bool = False
    """Written with a percent sign; `value` is then the share (1/2 for 50 %)."""
    places: int | None = None
    """Decimal places, if written as a decimal; None for an integer or a fraction, which
    is exact."""
    digits: int = 0
    """Significant digits of a decimal."""


def read_literal(text: str, start: int = 0) -> tuple[Number, int] | None:
    """Returns the unsigned literal that begins at `start`, and its end."""
    match = _LITERAL.match(text, start)
    if match is None:
        return None
    part = match.groupdict()
    try:
        if part["cycle"] is not None:
            repeating = Fraction(
                int(part["cycle"]),
                (10 ** len(part["cycle"]) - 1) * 10 ** len(part["head"].partition(".")[2]),
            )
            number = Number(Fraction("0" + part["head"] + "0") + repeating)
        elif part["top"] is not None:
            top, bottom = (Fraction(re.sub("[ ,]", "", part[name])) for name in ("top", "bottom"))
            number = Number(Fraction(part["whole"] or 0) + top / bottom)
        elif part["over"] is not None:
            ratio = Fraction(int(part["over"]), int(part["under"]))
            number = Number(int(part["count"] or 0) + ratio)
        elif part["mantissa"] is None:
            number = Number(Fraction(10) ** int(part["p1"] or part["p2"]))
        else:
            number = _decimal(part["mantissa"], int(part["e"] or part["p3"] or part["p4"] or 0))
    except ZeroDivisionError:
        return None
    return number, match.end()


def read_quantity(text: str) -> Number | None:
    """Returns the number, with its unit, that a whole spelled text states, or None."""
    if (aside := _ASIDE.fullmatch(text)) is not None:  # "18 (eighteen)"
        outer, inner = read_quantity(aside["outer"]), read_quantity(aside["aside"])
        if outer is None or inner is None or outer.value != inner.value:
            return None
        return outer
    rest, sign, currency = _SIGN_WORD.sub("-", text), 1, None
    for _ in range(3):  # "-$5", "$-5", "US$ 5"
        if rest[:1] in "+-" and rest:
            sign, rest = (-sign if rest[0] == "-" else sign), rest[1:].lstrip()
            if rest[:1] in ("+", "-"):
                return None
        elif currency is None and (found := read_currency(rest)) is not None:
            currency, end = found
            rest = rest[end:].lstrip()
    found_number = _read_fraction_words(rest) or read_literal(rest) or _read_words(rest)
    if found_number is None:
        return None
    number, end = found_number
    rest = rest[end:]
    scale = 1
    while (match := SCALE.match(rest)) is not None:
        scale, rest = scale * scale_of(match), rest[match.end() :]
    if scale == 1 and currency is not None and (match := _SHORT_SCALE.match(rest)) is not None:
        scale, rest = _SHORT_SCALES[match[1]], rest[match.end() :]
    value, places = sign * scale * number.value, number.places
    if (match := _PERCENT.match(rest)) is not None:
        if read_unit(rest[match.end() :]) is None and rest[match.end() :].strip():
            return None
        places = None if places is None else places + 2
        return Number(value / 100, None, True, places, number.digits)
    unit = currency
    if rest.strip():
        unit = read_unit(rest)
        if unit is None or (_TITLE.match(text) and read_unit(rest, known=True) is None):
            return None
        if currency is not None and unit != currency:
            unit = currency + unit if unit.startswith("/") else f"{currency} {unit}"
    elif rest:
        return None
    if scale > 1 and places is not None:
        places = None if value.denominator == 1 else places
    return Number(value, unit, False, places, number.digits)


def read_number_words(text: str) -> int | None:
    """Returns the integer in words ("one hundred and five", "twenty-one"), None for
    other words.
    """
    total = group = 0
    last, smallest = "", 10**15
    words = re.split(r"[ -]+", text.strip().casefold())
    if words == ["a", "dozen"]:
        return 12
    for index, word in enumerate(words):
        is_unit = word in _WORDS and (_WORDS[word] or len(words) == 1)
        if is_unit and last in ("", "ten", "hundred", "scale", "and"):
            if last == "ten" and not 1 <= _WORDS[word] <= 9:
                return None
            group, last = group + _WORDS[word], "unit"
        elif word in _TENS and last in ("", "hundred", "scale", "and"):
            group, last = group + _TENS[word], "ten"
        elif word == "a" and index == 0 and words[1:2] and words[1] in ("hundred", *_SCALES):
            group, last = 1, "unit"
        elif word == "hundred" and last == "unit" and 0 < group < 10:
            group, last = 100 * group, "hundred"
        elif (
            group and last in ("unit", "ten", "hundred") and _SCALES.get(word, smallest) < smallest
        ):
            smallest = _SCALES[word]
            total, group, last = total + group * smallest, 0, "scale"
        elif word == "and" and last in ("hundred", "scale") and index + 1 < len(words):
            last = "and"
        else:
            return None
    return None if last in ("", "and") else total + group


def same_number(one: Number, other: Number) -> bool:
    """Whether two numbers are equal: exactly, or as an exact value and its long
    decimal.

    Exact values are compared exactly. A decimal of at least 8 significant digits equals
    a fraction or a root if it is correctly rounded, or truncated, at its last digit. A
    decimal of at least 15 digits also equals a short number if they differ by at most
    64-bit floating-point noise, 1e-14 relative (0.30000000000000004 = 0.3). So 0.333 is
    not 1/3.
    """
    if one.value == other.value:
        return True
    for decimal, exact in ((one, other), (other, one)):
        if decimal.places is None:
            continue
        short = exact.places is None or exact.digits <= _SHORT_DIGITS
        noise = abs(exact.value) / 10**14
        is_float = decimal.digits >= _NOISE_DIGITS and short
        if is_float and abs(decimal.value - exact.value) <= noise:
            return True
        if exact.places is None and decimal.digits >= _ROUNDED_DIGITS:
            unit = Fraction(1, 10**decimal.places)
            missed = abs(exact.value) - abs(decimal.value)
            if decimal.value * exact.value > 0 and (abs(missed) <= unit / 2 or 0 <= missed < unit):
                return True
    return False


def scale_of(match: re.Match[str]) -> int:
    """Returns the factor of a match of `SCALE`."""
    small = {"hundred": 100, "dozen": 12, "dozens": 12}
    return (100 if match[1] else 1) * (small | _SCALES)[match[2].casefold()]


def write_number(value: Fraction) -> str:
    """Returns "3", "-1.25", or "1/3" if no decimal of at most 20 places is exact."""
    for places in range(21):
        if 10**places % value.denominator == 0:
            digits = str(abs(value.numerator) * (10**places // value.denominator))
            digits = digits.rjust(places + 1, "0")
            cut = len(digits) - places
            sign = "-" if value < 0 else ""
            return sign + digits[:cut] + ("." + digits[cut:] if places else "")
    return f"{value.numerator}/{value.denominator}"


def _decimal(mantissa: str, exponent: int) -> Number:
    plain = re.sub("[, ]", "", mantissa)
    places = max(0, len(plain.partition(".")[2]) - exponent)
    value = Fraction(plain) * Fraction(10) ** exponent
    digits = len(plain.replace(".", "").lstrip("0"))
    return Number(value, places=places or None, digits=digits)


def _read_fraction_words(text: str) -> tuple[Number, int] | None:
    """Returns the fraction or mixed number in words at the beginning of `text` ("half",
    "three-quarters", "two and a half"), and its end.
    """
    match = _FRACTION_WORDS.match(text)
    if match is None:
        return None
    whole, count = (match[name] or "" for name in ("whole", "count"))
    if not count and (whole or match["part"].casefold() != "half"):
        return None  # "third" is an ordinal number
    parts = 1 if count.casefold() in ("", "a") else read_number_words(count)
    units = 0 if not whole else int(whole) if whole.isdigit() else read_number_words(whole)
    if parts is None or units is None:
        return None
    return Number(units + Fraction(parts, _PARTS[match["part"].casefold()])), match.end()


def _read_han(text: str) -> tuple[Number, int] | None:
    """Returns the number in Chinese numerals at the beginning of `text`, and
    its end.
    """
    match = _HAN.match(text)
    if match is None:
        return None
    if set(match[0]) <= set(_HAN_DIGITS):
        return Number(Fraction("".join(str(_HAN_DIGITS[sign]) for sign in match[0]))), match.end()
    total = section = digit = 0
    for sign in match[0]:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif (scale := _HAN_SCALES[sign]) < 10**4:
            section, digit = section + (digit or 1) * scale, 0
        else:
            total, section, digit = (total + section + digit) * scale, 0, 0
    return Number(Fraction(total + section + digit)), match.end()


def _read_words(text: str) -> tuple[Number, int] | None:
    """Returns the longest number in words at the beginning of `text`, and its end."""
    words = list(re.finditer(r"(?:negative |minus )?[A-Za-z]+(?:-[A-Za-z]+)?(?= |$|\))", text))[:12]
    best = _read_han(text)
    for word in words:
        phrase = text[: word.end()]
        sign = re.match("negative |minus ", phrase, re.IGNORECASE)
        value = read_number_words(phrase[sign.end() :] if sign else phrase)
        if value is not None:
            best = Number(Fraction(-value if sign else value)), word.end()
    return best
