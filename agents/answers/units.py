"""Units and currencies behind (or before) a number, in one spelling. Units are
compared, never converted."""

from __future__ import annotations

import re

_SYNONYMS = {
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm cms centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "km": "km kms kilometer kilometers kilometre kilometres",
    "inch": "in inch inches",
    "foot": "ft foot feet",
    "yard": "yd yds yard yards",
    "mile": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gram grams gm gms",
    "kg": "kg kgs kilogram kilograms kilo kilos",
    "ounce": "oz ounce ounces",
    "pound": "lb lbs pound pounds quid gbp",
    "ton": "ton tons tonne tonnes",
    "ms": "ms millisecond milliseconds",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "wk week weeks",
    "month": "month months",
    "year": "yr yrs year years",
    "ml": "ml mL milliliter milliliters millilitre millilitres",
    "l": "l L liter liters litre litres",
    "gallon": "gal gallon gallons",
    "degree": "° deg degree degrees",
    "celsius": "°C ℃ celsius",
    "fahrenheit": "°F fahrenheit",
    "kelvin": "K kelvin kelvins",
    "radian": "rad rads radian radians",
    "N": "N newton newtons",
    "J": "J joule joules",
    "W": "W watt watts",
    "V": "V volt volts",
    "A": "ampere amperes amp amps",
    "Hz": "Hz hertz",
    "Pa": "Pa pascal pascals",
    "ohm": "Ω ohm ohms",
    "dollar": "$ US$ USD usd dollar dollars buck bucks",
    "cent": "¢ cent cents",
    "euro": "€ EUR eur euro euros",
    "yen": "¥ JPY jpy yen",
    "yuan": "元 圆 块 RMB rmb CNY cny yuan",
    "rupee": "₹ Rs Rs. INR inr rupee rupees",
    "won": "₩ KRW krw won",
    "ruble": "₽ RUB rub ruble rubles",
    "mile/hour": "mph MPH",
    "km/hour": "kph kmh",
    "unit": "unit units",
}  # fmt: skip
_UNITS = {name: unit for unit, names in _SYNONYMS.items() for name in names.split()}
_UNITS["£"] = "pound"
_CURRENCY = re.compile(r"(?:US)?\$|[€£¥₹₩₽]|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|KRW|RUB|Rs\.?)(?= |[0-9])")
_POWERS = {"square": "^2", "sq": "^2", "cubic": "^3", "squared": "^2", "cubed": "^3"}
_FACTOR = re.compile(
    r"(?:(square|sq|cubic)\.? )?([A-Za-z°Ω$€£¥¢₹₩₽元圆块]+)\.?"
    r"(?: ?\^ ?\{?([23])\}?| (squared|cubed))?",
    re.IGNORECASE,
)
_DEGREES = re.compile(r"^(?:degrees? |° ?)(celsius|fahrenheit)", re.IGNORECASE)
_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff\u3400-\u9fff"
_WORD = re.compile(rf"[^\W\d_]{{2,}}(?:['’-][^\W\d_]+)*|[{_PICTURES}]+|a")
NOT_A_UNIT = re.compile(
    r"\b(?:not|never|no|or|and|than|between|minus|plus|times|twice|squared|cubed|factorial"
    r"|base|mod|modulo|negative|half|halves|thirds?|quarters?|fourths?|fifths?|sixths?"
    r"|sevenths?|eighths?|ninths?|tenths?|hundredths?|thousandths?|dozens?|hundreds?"
    r"|thousands?|millions?|billions?|trillions?|scores?|pairs?|more|less|fewer|least|most"
    r"|about|if|but|is|are|was|were|wrong|incorrect|false|sin|cos|tan|cot|sec|csc|log|ln|sqrt|pi|inf|infinity|to|(?<!['’])[b-z])\b|n['’]t\b",
    re.IGNORECASE,
)
"""Words behind a number that change it, or name several."""


def read_currency(text: str) -> tuple[str, int] | None:
    """Returns the currency that `text` begins with, and where it ends."""
    match = _CURRENCY.match(text)
    return None if match is None else (_UNITS.get(match[0], match[0]), match.end())


def read_unit(rest: str, *, known: bool = False) -> str | None:
    """Returns the unit that stands behind a number, in one spelling; None when `rest` is no unit.

    Args:
        rest: what follows the number, with the blank before it if there is one.
        known: only units of the table, no other words ("apples").
    """
    spaced, text = rest[:1] == " ", rest.strip().removesuffix(".")
    text = _DEGREES.sub(r"\1", text)
    parts = re.split(r" ?/ ?| per ", re.sub(r"^per ", "/", text))
    names = [_factor(part, spaced or index > 0) if part else "" for index, part in enumerate(parts)]
    if text and all(name is not None for name in names) and all(names[1:]):
        return "/".join(name or "" for name in names)
    words = text.replace(",", "").split()
    if known or not spaced or not 1 <= len(words) <= 4 or words == ["a"] or NOT_A_UNIT.search(text):
        return None
    if not all(_WORD.fullmatch(word) for word in words):
        return None
    return " ".join(_singular(word) for word in words)


def _factor(text: str, spaced: bool) -> str | None:
    """Returns one factor of a unit ("square feet" is "foot^2"); a bare letter is a unit
    only behind a blank."""
    match = _FACTOR.fullmatch(text)
    if match is None:
        return None
    name = match[2]
    if not spaced and len(name) == 1 and name.isascii() and name.isalpha():
        return None
    if match[2] == "in" and not spaced:
        return None
    unit = _UNITS.get(name) or (_UNITS.get(name.casefold()) if len(name) > 2 else None)
    if unit is None:
        return None
    if word := match[1] or match[4]:
        return unit + _POWERS[word.casefold()]
    return unit + (f"^{match[3]}" if match[3] else "")


def _singular(word: str) -> str:
    """Returns a word without its plural's s and its case, which only abbreviations keep ("MB", "Mb")."""
    if len(word) < 3:
        return word
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
