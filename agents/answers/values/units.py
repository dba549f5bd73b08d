"""Units and currencies of numbers, in canonical spelling. Units are compared, not
converted.
"""

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
_PREFIXES = {
    "T": "tera",
    "G": "giga",
    "M": "mega",
    "k": "kilo",
    "c": "centi",
    "m": "milli",
    "μ": "micro",
    "n": "nano",
}
_PREFIXED = {
    "m": "meter metre",
    "g": "gram",
    "s": "second",
    "l": "liter litre",
    "N": "newton",
    "J": "joule",
    "W": "watt",
    "V": "volt",
    "A": "ampere amp",
    "Hz": "hertz",
    "Pa": "pascal",
    "ohm": "ohm Ohm",
    "eV": "electronvolt",
    "Wh": "watt-hour",
    "B": "byte",
    "bit": "bit",
    "mol": "mole",
    "cal": "calorie",
}
"""Units that take a prefix: symbol -> names in the singular."""
_UNITS = {
    prefix + name: short + unit
    for short, long in _PREFIXES.items()
    for unit, names in _PREFIXED.items()
    for prefix, written in ((short, [unit]), (long, names.split()))
    for one in written
    for name in ((one, one + "s") if prefix == long else (one,))
}
_UNITS |= {
    name: unit
    for unit in ("eV", "Wh", "B", "bit", "mol", "cal")
    for one in _PREFIXED[unit].split()
    for name in (one, one + "s")
}
_UNITS |= {"mol": "mol", "eV": "eV", "Wh": "Wh", "Nm": "N m"}
_UNITS |= {name: unit for unit, names in _SYNONYMS.items() for name in names.split()}
_UNITS |= {short + "Ω": short + "ohm" for short in _PREFIXES}
_UNITS |= {"£": "pound", "µs": "μs", "mcg": "μg"}
COMPOUND_UNITS = (
    frozenset(("year", "month", "week", "day", "hour", "minute", "second")),
    frozenset(("mile", "yard", "foot", "inch")),
    frozenset(("km", "m", "cm", "mm")),
    frozenset(("pound", "ounce")),
    frozenset(("kg", "g")),
    frozenset(("dollar", "cent")),
    frozenset(("degree", "minute", "second")),
)
"""Groups of units that one quantity may combine ("5 ft 10 in")."""
_CURRENCY = re.compile(
    r"(?:US)?\$|[€£¥₹₩₽]|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|KRW|RUB|Rs\.?)(?= |[0-9])"
)
_POWERS = {"square": "^2", "sq": "^2", "cubic": "^3", "squared": "^2", "cubed": "^3"}
_FACTOR = re.compile(
    r"(?:(square|sq|cubic)\.? )?([A-Za-zμ°Ω$€£¥¢₹₩₽元圆块]+)\.?"
    r"(?: ?\^ ?\{?([23]|-[1-4])\}?| (squared|cubed))?",
    re.IGNORECASE,
)
_DEGREES = re.compile(r"^(?:degrees? |° ?)(c|f)(?:elsius|ahrenheit)?(?![A-Za-z])", re.IGNORECASE)
_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff\u3400-\u9fff"
_WORD = re.compile(rf"[^\W\d_]{{2,}}(?:['’-][^\W\d_]+)*|[{_PICTURES}]+|a")
NOT_A_UNIT = re.compile(
    r"\b(?:not|never|no|or|and|than|between|minus|plus|times|twice|squared|cubed|factorial"
    r"|base|mod|modulo|negative|half|halves|thirds?|quarters?|fourths?|fifths?|sixths?"
    r"|sevenths?|eighths?|ninths?|tenths?|hundredths?|thousandths?|dozens?|hundreds?"
    r"|thousands?|millions?|billions?|trillions?|scores?|pairs?|more|less|fewer|least|most"
    r"|bce?|doubled|tripled|halved|multiplied|divided|added|subtracted|increased|decreased|fold|inverse"
    r"|reciprocal|below|above|under|cannot|except|excluding|instead|unless|gross"
    r"|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|about|if|but|is|are|was|were|wrong|incorrect|false|sin|cos|tan|cot|sec|csc|log|ln|sqrt|pi|inf|infinity|to|(?<!['’])[b-z])\b|n['’]t\b",
    re.IGNORECASE,
)
"""Words after a number that change it or belong to another number."""


def read_currency(text: str) -> tuple[str, int] | None:
    """Returns the currency at the beginning of `text`, and its end; or None."""
    match = _CURRENCY.match(text)
    return None if match is None else (_UNITS.get(match[0], match[0]), match.end())


def read_unit(rest: str, *, known: bool = False) -> str | None:
    """Returns the unit after a number in canonical spelling; None if `rest` is not a
    unit.

    Args:
        rest: the text after the number, with its leading blank, if any. known: accept
            only units of the table, no other words ("apples").
    """
    spaced, text = rest[:1] == " ", rest.strip().removesuffix(".")
    text = _DEGREES.sub(lambda sign: "°" + sign[1].upper(), re.sub(r"\\mu ?", "μ", text))
    parts = re.split(r" ?/ ?| per ", re.sub(r"^per ", "/", text))
    names = [
        _product(part, spaced or index > 0) if part else "" for index, part in enumerate(parts)
    ]
    if text and all(name is not None for name in names) and all(names[1:]):
        return _written("/".join(name or "" for name in names))
    words = text.replace(",", "").split()
    if known or not spaced or not 1 <= len(words) <= 4 or words == ["a"] or NOT_A_UNIT.search(text):
        return None
    if not all(_WORD.fullmatch(word) for word in words):
        return None
    return " ".join(_singular(word) for word in words)


def _product(text: str, spaced: bool) -> str | None:
    """Returns a product of known units ("N m", "m s^-1"), or None."""
    if (unit := _factor(text, spaced)) is not None:
        return unit
    parts = re.split(r" ?\\cdot ?|(?<!square)(?<!sq)(?<!cubic)(?<!sq\.) (?!squared|cubed|\^)", text)
    names = [_factor(part, spaced) for part in parts[:4]]
    if not 2 <= len(parts) <= 4 or None in names:
        return None
    return " ".join(name for name in names if name is not None)


def _written(unit: str) -> str:
    """Returns a unit with sorted factors and negative powers as divisors."""
    if "^-" not in unit:
        top, *bottom = unit.split("/")
        return "/".join([" ".join(sorted(top.split())), *bottom])
    if "/" in unit:
        return unit
    above = sorted(name for name in unit.split() if "^-" not in name)
    below = [name.replace("^-1", "").replace("^-", "^") for name in unit.split() if "^-" in name]
    return "/".join([" ".join(above), *sorted(below)])


def _factor(text: str, spaced: bool) -> str | None:
    """Returns one factor of a unit ("foot^2" for "square feet"), or None. A single
    letter is a unit only after a blank.
    """
    match = _FACTOR.fullmatch(text)
    if match is None:
        return None
    name = match[2]
    if not spaced and len(name) == 1 and name.isascii() and name.isalpha():
        return None
    if match[2] == "in" and not spaced:
        return None
    unit = _UNITS.get(name)
    if unit is None and ((name.istitle() and name[1:]) or (name.isupper() and name[2:])):
        unit = _UNITS.get(name.casefold())
    if unit is None:
        return None
    if word := match[1] or match[4]:
        return unit + _POWERS[word.casefold()]
    return unit + (f"^{match[3]}" if match[3] else "")


def _singular(word: str) -> str:
    """Returns the singular of a word in lower case; abbreviations ("MB", "Mb") are
    unchanged.
    """
    if len(word) < 3:
        return word
    if not (word.islower() or word.istitle() or word.isupper()):
        return word
    word = word.casefold()
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
