"""Reads an answer of kind `math` into a typed value. Reading is total, exact and
bounded.

Types are tried in a fixed order: values with an exact form (a date, a time, a number in
a base, a code, a number with a unit) before groups, words and algebra, so that
"555-1234" is not a difference and "2024-01-05" is not 2018. The fallback is an
`Expression`.
"""

from __future__ import annotations

import re

from agents.answers.values.dates import read_date, read_time
from agents.answers.values.expression import FUNCTIONS, UnreadableError, parse
from agents.answers.values.numbers import Number, read_quantity
from agents.answers.values.rational import exact
from agents.answers.values.spelling import spell
from agents.answers.values.typed_values import (
    Bracketed,
    Code,
    Equation,
    Expression,
    InBase,
    Interval,
    MultipleChoice,
    Named,
    Plain,
    Region,
    Value,
    Words,
    as_region,
)
from agents.answers.values.units import COMPOUND_UNITS, read_unit

LONGEST_GROUP = 64
"""Largest number of items; a longer group is compared as text."""

_BLANKS = re.compile(r" (?=[-+*/^=<>()\[\]{}|_\\])|(?<=[-+*/^=<>()\[\]{}|_]) ")
_COMMA = re.compile(r" ?, ?(?!(?<=[0-9],)[0-9]{3}(?![0-9]))")
_BASE = re.compile(
    r"\(?(?P<digits>[0-9A-F]+|(?=[0-9a-f]{2})[0-9a-f]+)\)?"
    r"(?: ?_ ?\{? ?(?P<base>[0-9]{1,2}) ?\}?| (?:\(?base|in base) (?P<word>[0-9]{1,2})\)?)"
)
_PREFIXED = re.compile(r"0[xX][0-9A-Fa-f]+|0[bB][01]+|0[oO][0-7]+")
_PHONE = re.compile(
    r"(?P<country>\+[0-9]{1,3}[- ]?)?\((?P<area>[0-9]{2,5})\)[- ]?"
    r"(?P<rest>[0-9]{2,4}[- ][0-9]{3,4})"
)
_CODE = re.compile(
    r"\+?[0-9]+(?:(?=[0-9. ]*-)[-. ][0-9]+(?:[-. ][0-9]+)*|(?:\.[0-9]+){2,})"
    r"|0[0-9]+|[0-9]+:[0-9]+(?::[0-9]+)*|#[0-9A-Za-z]+|v[0-9]+(?:\.[0-9]+)+"
)
_RATIO = re.compile(r"(?<=[0-9]) ?: ?(?=[0-9])")
_ALNUM = re.compile(r"[A-Za-z0-9]+")
_GENOTYPE = re.compile(r"(?:([A-Za-z])(?i:\1)){2,}")
"""Letters in pairs ("AaBb"), which differ only in case."""
_ORDINAL_NAMES = "fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINALS = {name: f"{number}th" for number, name in enumerate(_ORDINAL_NAMES.split(), 4)}
_ORDINALS |= {"first": "1st", "second": "2nd", "third": "3rd"}
_ORDINALS |= {sign: sign for sign in _ORDINALS.values()}
_SUBSCRIPT = re.compile(r"_(?:\{([0-9]+)\}|([0-9]))")
_CHOICE = re.compile(
    r"\(([A-Za-z])\)|\[?([A-H])[)\]]|(?:option|choice) \(?([A-Za-z])\)?", re.IGNORECASE
)
_LETTERED = re.compile(r"\(?([A-H])[).:] (?P<text>[^\\]+)")
_OTHER_CHOICE = re.compile(r"\b(?i:and|or|not|no|wrong|incorrect)\b|\b[B-H]\b|\bA[).:]")
_INITIALS = re.compile(r"(?<![A-Za-z])(?:[A-Z]\. ?)+(?:[A-Z](?![A-Za-z])\.?)?")
_PUNCTUATION = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])|(?<=[^\W\d_])\.(?= |$)|!+$")
"""Punctuation that is ignored in words."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_TWO_WORDS = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}(?![A-Za-z])")
_LINK_WORDS = "to in of by at on is it as an or no we he so go do me us if am vs"
_LINKS = frozenset(_LINK_WORDS.split())
_FORMULA = re.compile(
    r"(?=.*[(+-])(?:[A-Z][a-z]?[0-9]*|\((?:[A-Z][a-z]?[0-9]*)+\)[0-9]+)+(?:[0-9]?[+-])?"
)
"""A chemical formula with a group or a charge, which algebra would read as a
product."""
_WORDS = re.compile(r"[^\\^_={}<>|]+")
_ALGEBRA = re.compile(r"[-+*/] ?[0-9(]|[0-9)] ?[-+*/]|sqrt|[a-z]\(")
_SHORT_WORDS = {"no", "on", "off", "up", "ok", "us", "uk", "eu"}
_GREEK = "alpha|beta|gamma|theta|lambda|mu|phi|omega|sigma|rho|delta"
_SYMBOL = rf"(?:[A-Za-z](?:_\{{?[A-Za-z0-9]+\}}?)?'?|\\(?:{_GREEK}))"
_NAMED = re.compile(rf"(?P<name>{_SYMBOL}(?: ?\( ?[A-Za-z0-9]+ ?\))?) ?= ?(?P<value>[^=]+)")
_NAMED_LAST = re.compile(rf"(?P<value>[^=]*[0-9][^=]*?) ?= ?(?P<name>{_SYMBOL})")
_NAMED_TUPLE = re.compile(rf"(?P<name>\( ?{_SYMBOL}(?: ?, ?{_SYMBOL})+ ?\)) ?= ?(?P<value>\(.+\))")
_MEMBER = re.compile(rf"(?P<name>{_SYMBOL}) ?\\in(?![A-Za-z]) ?(?P<value>.+)")
_RELATION = re.compile(r"\\(?:le|ge|ne)(?![A-Za-z])|[<>]")
_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
_SEPARATOR = re.compile(r"[,;](?: (?:and|or) )?| (?:and|or) ")
_MATRIX = re.compile(
    r"\\begin ?\{ ?(?P<name>(?:[pbv]|small)?matrix|array) ?\}(?:\{[lcr|]*\})?"
    r"(?P<body>.*)\\end ?\{ ?(?P=name) ?\}"
)
_INFINITY = re.compile(r"(?P<sign>[-+]?) ?(?:\\infty|infinity|inf|oo)", re.IGNORECASE)
_REAL_LINE = re.compile(r"\\mathbb ?\{? ?R ?\}?|all real numbers|all reals", re.IGNORECASE)
_BUILDER = re.compile(
    rf"\\?\{{ ?{_SYMBOL}(?: ?\\in ?\\mathbb ?\{{? ?R ?\}}?)? ?(?:[:|]|\\mid(?![A-Za-z])) ?"
    r"(?P<rule>[^{}]+?) ?\\?\}"
)
"""A set in builder notation: all numbers for which a solved inequality holds."""
_PUNCTURED = re.compile(
    r"\\mathbb ?\{? ?R ?\}? ?(?:\\setminus|\\backslash|-) "
    r"?\\?\{(?P<points>[^{}\\]+)\\?\}"
)
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_OPEN, _CLOSE = "([{", ")]}"


def tidy(text: str) -> str:
    """Returns spelled LaTeX with blanks normalized."""
    return _COMMA.sub(", ", _BLANKS.sub("", text))


def read_value(text: str) -> Value:
    """Returns the value of an answer of at most `LONGEST_ANSWER` characters."""
    return _read(spell(text), 3)


def read_plain(spelled: str) -> Plain | None:
    """Returns the `Plain` value of a spelled text, or None."""
    if (found := read_date(spelled)) is not None:
        return found
    if (time := read_time(spelled)) is not None:
        return time
    if (match := _BASE.fullmatch(spelled)) is not None:
        base = int(match["base"] or match["word"])
        if 2 <= base <= 36 and all(int(digit, 16) < base for digit in match["digits"]):
            return InBase(match["digits"].upper(), base)
    if _PREFIXED.fullmatch(spelled):
        return Code(spelled.lower())
    spelled = _RATIO.sub(":", spelled)
    if (phone := _PHONE.fullmatch(spelled)) is not None:
        spelled = f"{phone['country'] or ''}{phone['area']}-{phone['rest']}"
    if _CODE.fullmatch(spelled):
        return Code(spelled.replace(" ", "-"))
    return read_quantity(spelled)


def _read(text: str, depth: int) -> Value:
    """Reads a spelled text with groups nested at most `depth` deep."""
    if (plain := read_plain(text)) is not None:
        return plain
    if (match := _INFINITY.fullmatch(text)) is not None:
        return Code("-\\infty" if match["sign"] == "-" else "\\infty")
    if (match := _CHOICE.fullmatch(text)) is not None:
        return MultipleChoice((match[1] or match[2] or match[3]).upper())
    lettered = _LETTERED.fullmatch(text)
    if lettered is not None and not _OTHER_CHOICE.search(lettered["text"]):
        return MultipleChoice(lettered[1], lettered["text"].casefold())
    if depth:
        for reader in (
            _read_compound,
            _read_approximated,
            _read_named,
            _read_region,
            _read_matrix,
            _read_plus_minus,
            _read_group,
            _read_list,
        ):
            if (value := reader(text, depth - 1)) is not None:
                return value
    if (symbols := _read_symbols(text)) is not None:
        return symbols
    left, equals, right = text.partition("=")
    if equals and "=" not in right and left.strip() and right.strip():
        return Equation(_expression(left), _expression(right))
    return _expression(text)


def _expression(text: str) -> Expression:
    """Returns a text as an expression, with a known unit at its end split off."""
    text = text.strip()
    places = [match.start() for match in re.finditer(" ", text)][-4:]
    if text.endswith("°") and not text.startswith("\\"):
        return Expression(tidy(text[:-1]), "degree")
    for place in places:
        if (unit := read_unit(text[place:], known=True)) is not None and len(text[place:]) > 2:
            return Expression(tidy(text[:place]), unit)
    return Expression(tidy(text))


def _read_symbols(text: str) -> Words | Code | None:
    """Reads words and codes ("H2O", "H_2O", "ab"), which algebra would read as
    products.
    """
    if (ordinal := _ORDINALS.get(text.casefold().removeprefix("the "))) is not None:
        return Code(ordinal)
    text = _INITIALS.sub(lambda run: re.sub("[. ]", "", run[0]) + " ", text).strip()
    if "://" in text or re.match(r"[/~][A-Za-z]", text):
        return Code(text)
    compact = _SUBSCRIPT.sub(r"\1\2", text)
    if _ALNUM.fullmatch(compact) and not (text != compact and text[:1].islower()):
        is_word = len(compact) > 2 or compact.casefold() in _SHORT_WORDS
        if is_word and compact.isalpha() and not _GENOTYPE.fullmatch(compact):
            return Words(compact.casefold())
        return Code(compact)
    bare = re.sub(r"[\^{}]", "", compact)
    if len(bare) > 1 and _FORMULA.fullmatch(bare) and not re.fullmatch(r"[A-Z]\([A-Z]\).*", bare):
        return Code(bare)
    words = _TWO_WORDS.findall(text)
    is_prose = bool(_WORD.search(text)) or not _LINKS.isdisjoint(words)
    is_prose = is_prose or (len(words) > 1 and re.fullmatch("[A-Za-z0-9 ]+", text) is not None)
    if is_prose and words and FUNCTIONS.issuperset(words) and re.search(r"[ (0-9]", text):
        return None  # "sin x"
    if is_prose and _WORDS.fullmatch(text) and not _ALGEBRA.search(text):
        text = _PUNCTUATION.sub(" ", text).casefold()
        return Words(re.sub(r"^(?:the|a|an) ", "", " ".join(text.split())))
    return None


def _read_named(text: str, depth: int) -> Value | None:
    match = _NAMED.fullmatch(text) or _NAMED_TUPLE.fullmatch(text) or _NAMED_LAST.fullmatch(text)
    if match is not None and not _RELATION.search(text):
        value = _read(match["value"].strip(), depth)
        items = value.items if isinstance(value, Bracketed) and value.brackets == "" else ()
        if any(isinstance(item, Named) for item in items):
            return None  # "x = 1, y = 2"
        return Named(tidy(match["name"]), value)
    match = _MEMBER.fullmatch(text)
    if match is None:
        return _read_chain(text, depth)
    value = _read(match["value"].strip(), depth)
    region = as_region(value)
    return value if region is None else Region(region.pieces, tidy(match["name"]))


def _read_chain(text: str, depth: int) -> Named | None:
    """Reads "x = 4/2 = 2" if all right sides are equal."""
    name, *sides = (part.strip() for part in text.split("="))
    if not 2 <= len(sides) <= 4 or not re.fullmatch(_SYMBOL, name):
        return None
    try:
        values = {exact(parse(tidy(side))) for side in sides}
    except UnreadableError:
        return None
    return None if len(values) > 1 or None in values else Named(tidy(name), _read(sides[-1], depth))


def _read_compound(text: str, depth: int) -> Bracketed | None:
    """Reads one quantity in several units: "5 ft 10 in", "2 hours and 30 minutes"."""
    parts = re.split(r",? (?:and )?(?=[0-9])", text)
    if not 2 <= len(parts) <= 4:
        return None
    items = tuple(number for part in parts if (number := read_quantity(part)) is not None)
    units = [item.unit for item in items]
    if len(items) != len(parts) or len(set(units)) != len(units):
        return None
    return (
        Bracketed("compound", items) if any(set(units) <= kind for kind in COMPOUND_UNITS) else None
    )


def _read_approximated(text: str, depth: int) -> Value | None:
    """Reads "\\sqrt{2} \\approx 1.414" as its exact left side. If that is a number, the
    decimal must be within 2 % of it.
    """
    left, sign, right = text.partition("\\approx")
    if not sign or re.fullmatch(_SYMBOL, left.strip()):
        return None
    value, decimal = _read(left.strip(), depth), read_quantity(right.strip())
    if decimal is None or not isinstance(value, Number | Expression):
        return None
    if isinstance(value, Number) and abs(value.value - decimal.value) > abs(value.value) / 50:
        return None
    return value


def _read_region(text: str, depth: int) -> Value | None:
    """Reads unions of intervals and solved inequalities, also joined by "or" and
    "and".
    """
    if (built := _BUILDER.fullmatch(text)) is not None:
        return _read_region(built["rule"].strip(), depth)
    if (punctured := _PUNCTURED.fullmatch(text)) is not None:
        return _read_punctured(split_top(punctured["points"]), depth)
    if _REAL_LINE.fullmatch(text):
        return Region((Interval(None, None, False, False),))
    for word in (" or ", " and ", ", "):
        parts = text.split(word)
        if 1 < len(parts) <= LONGEST_GROUP and all(_RELATION.search(part) for part in parts):
            regions = [_read_relation(part, depth) for part in parts]
            if None in regions:
                return None
            known = [region for region in regions if region is not None]
            return _join(known, intersect=word != " or ")
    if _RELATION.search(text):
        return _read_relation(text, depth)
    parts = re.split(r"\\cup(?![A-Za-z])| U ", text)
    if len(parts) > LONGEST_GROUP:
        return None
    if len(parts) > 1:
        pieces = [as_region(_read(part.strip(), depth)) for part in parts]
        found = [region for region in pieces if region is not None]
        return _union(found) if len(found) == len(pieces) else None
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and text[:1] + text[-1:] in ("(]", "[)"):
        ends = split_top(text[1:-1])
        return _interval(text[0], ends, text[-1], depth) if len(ends) == 2 else None
    return None


def _read_punctured(points: list[str], depth: int) -> Region | None:
    """Reads the real numbers without some points as the intervals between the
    points.
    """
    try:
        numbers = {exact(parse(tidy(point))): point for point in points}
    except UnreadableError:
        return None
    ordered = [(number, point) for number, point in numbers.items() if number is not None]
    ends = [_read(point.strip(), depth) for _, point in sorted(ordered)]
    if len(ends) != len(numbers):
        return None
    pairs = zip([None, *ends], [*ends, None], strict=True)
    return Region(tuple(Interval(low, high, False, False) for low, high in pairs))


def _union(regions: list[Region], variable: str | None = None) -> Region:
    return Region(tuple(piece for region in regions for piece in region.pieces), variable)


def _join(regions: list[Region], *, intersect: bool) -> Region | None:
    names = {region.variable for region in regions}
    if len(names) > 1:
        return None
    if not intersect:
        return _union(regions, names.pop())
    if len(regions) != 2 or any(len(region.pieces) != 1 for region in regions):
        return None
    one, other = (region.pieces[0] for region in regions)
    if one.low is None and other.high is None:
        one, other = other, one
    if one.high is not None or other.low is not None:
        return None
    return Region((Interval(one.low, other.high, one.has_low, other.has_high),), names.pop())


def _read_relation(text: str, depth: int) -> Region | None:
    signs = _RELATION.findall(text)
    parts = [part.strip() for part in _RELATION.split(text)]
    if not all(parts) or not 2 <= len(parts) <= 3:
        return None
    if len(parts) == 2 and re.fullmatch(_SYMBOL, parts[1]) and not re.fullmatch(_SYMBOL, parts[0]):
        parts, signs = parts[::-1], [_FLIPPED[signs[0]]]
    if len(parts) == 3 and signs[0] in (">", "\\ge"):
        parts, signs = parts[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    name = parts[0] if len(parts) == 2 else parts[1]
    if not re.fullmatch(_SYMBOL, name):
        return None
    name = tidy(name)
    if len(parts) == 3:
        if any(sign not in ("<", "\\le") for sign in signs):
            return None
        piece = _interval(
            "[" if signs[0] == "\\le" else "(",
            [parts[0], parts[2]],
            "]" if signs[1] == "\\le" else ")",
            depth,
        )
        return None if piece is None else Region(piece.pieces, name)
    bound = _read(parts[1], depth)
    if signs[0] == "\\ne":
        below, above = Interval(None, bound, False, False), Interval(bound, None, False, False)
        return Region((below, above), name)
    closed = signs[0] in ("\\le", "\\ge")
    if signs[0] in ("<", "\\le"):
        return Region((Interval(None, bound, False, closed),), name)
    return Region((Interval(bound, None, closed, False),), name)


def _interval(opening: str, ends: list[str], closing: str, depth: int) -> Region | None:
    low, high = ends
    infinite = [_INFINITY.fullmatch(end.strip()) for end in ends]
    signs = [None if match is None else match["sign"] for match in infinite]
    if signs[0] in ("", "+") or signs[1] == "-":
        return None
    return Region((
        Interval(
            None if infinite[0] else _read(low.strip(), depth),
            None if infinite[1] else _read(high.strip(), depth),
            opening == "[",
            closing == "]",
        ),
    ))  # fmt: skip


def _read_matrix(text: str, depth: int) -> Bracketed | None:
    is_bracketed = text[:1] in ("(", "[") and _is_enclosed(text)
    match = _MATRIX.fullmatch(text[1:-1].strip() if is_bracketed else text)
    if match is None:
        return None
    rows = [
        row.split("&")
        for row in re.split(
            r"\\\\(?:\[[0-9.]+(?:ex|em|pt|mm|cm)\])?", match["body"].strip().removesuffix("\\\\")
        )
    ]
    if len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > LONGEST_GROUP:
        return None
    name = "determinant" if match["name"] == "vmatrix" else "matrix"
    kind = f"{name} {len(rows)}x{len(rows[0])}"
    return Bracketed(kind, tuple(_read(cell.strip(), 0) for row in rows for cell in row))


def _read_plus_minus(text: str, depth: int) -> Value | None:
    """Reads "a \\pm b" as a list of two values."""
    is_group = text.startswith(("(", "[", "{", "\\{"))
    if not _PLUS_MINUS.search(text) or len(split_top(text)) > 1 or is_group:
        return None
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return Bracketed("", (_read(spell(upper), depth), _read(spell(lower), depth)))


def _read_group(text: str, depth: int) -> Value | None:
    if text == "\\emptyset" or re.fullmatch("(?:the )?(?:empty|null) set", text, re.IGNORECASE):
        return Bracketed("{}", ())
    if text.startswith("\\{") and text.endswith("\\}"):
        text = re.sub(r"\\([{}])", r"\1", text)
    opening, closing = text[:1], text[-1:]
    if len(text) < 2 or opening + closing not in ("()", "[]", "{}") or not _is_enclosed(text):
        return None
    parts = split_top(text[1:-1])
    is_infinite = any(_INFINITY.fullmatch(part.strip()) for part in parts)
    if opening in "([" and len(parts) == 2 and is_infinite:
        return _interval(opening, parts, closing, depth)
    if len(parts) < 2 and opening == "(":
        return None
    if parts in ([""], [" "]) and opening == "{":
        return Bracketed("{}", ())
    if not all(part.strip() for part in parts) or len(parts) > LONGEST_GROUP:
        return None
    items = _items(parts, depth)
    rows = [item for item in items if isinstance(item, Bracketed) and item.brackets == "[]"]
    if opening == "[" and len(rows) == len(items) and len({len(row.items) for row in rows}) == 1:
        cells = tuple(cell for row in rows for cell in row.items)  # "[[1, 2], [3, 4]]"
        return Bracketed(f"matrix {len(rows)}x{len(rows[0].items)}", cells)
    return Bracketed(opening + closing, items)


def _read_list(text: str, depth: int) -> Bracketed | None:
    """Reads a bare list: "3, 5, 7", "1331 and 1728", "x = 1 or x = 2"."""
    parts = split_top(text, words=True)
    if not 2 <= len(parts) <= LONGEST_GROUP:
        return None
    parts = [re.sub(r"^(?:and|or) ", "", part.strip()) for part in parts]
    if not all(parts):
        return None
    items = _items(parts, depth)
    named = [item for item in items if isinstance(item, Named)]
    if len(named) == len(items) and len({item.name for item in named}) == 1:
        return Bracketed("", tuple(item.value for item in named))
    return Bracketed("", items)


def _items(parts: list[str], depth: int) -> tuple[Value, ...]:
    """Reads the items of a group; an item with \\pm is two items."""
    items: list[Value] = []
    for part in parts:
        value = _read(part.strip(), depth)
        if isinstance(value, Bracketed) and value.brackets == "" and _PLUS_MINUS.search(part):
            items.extend(value.items)
        else:
            items.append(value)
    return tuple(items)


def split_top(text: str, *, words: bool = False) -> list[str]:
    """Splits a text at commas and semicolons (with `words` also at "and", "or") outside
    of brackets.
    """
    parts, start, depth = [], 0, 0
    for match in re.finditer(r"[(\[{]|[)\]}]|" + (_SEPARATOR.pattern if words else "[,;]"), text):
        sign = match[0]
        if sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        elif depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _is_enclosed(text: str) -> bool:
    """Whether the last character closes the first bracket."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if depth == 0:
            return place == len(text) - 1
    return False
