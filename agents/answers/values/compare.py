"""Decides whether two values are the same answer. They must have the same type and
equal parts, with these tolerances:

- a unit (or base) on one side only is ignored (18 = "18 km/h"; 52 = 52_8); two
  different units are unequal;
- "x = 5" equals 5; names are compared only if both values have one;
- a bare list equals a set in any order, and a tuple or list of three or more items in
  the same order;
- a pair in () or [] also equals the interval;
- a choice "(C)" equals the letter C;
- a percentage equals its share (50 % = 1/2); if the question asks for a percentage, 50
  also equals 50 %.

Only rational numbers of bounded size are computed. Where algebra must decide, the
result is that of the caller's `algebra`, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from agents.answers.values.canonical import AnswerKind, canonical_form
from agents.answers.values.dates import Date, Time
from agents.answers.values.expression import UnreadableError, parse
from agents.answers.values.numbers import Number, read_quantity, same_number
from agents.answers.values.phrases import read_phrase
from agents.answers.values.rational import exact
from agents.answers.values.reading import read_value
from agents.answers.values.spelling import LONGEST_ANSWER, spell
from agents.answers.values.typed_values import (
    Bracketed,
    Code,
    Equation,
    Expression,
    InBase,
    Interval,
    MultipleChoice,
    Named,
    Region,
    Value,
    Words,
    as_region,
)

_GROUPED = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}")
"""Thousands grouped by full stops; the same form as a version number."""

Mathematics = Expression | Equation | Number
Algebra = Callable[[Mathematics, Mathematics], bool | None]
"""Whether two mathematical values are equal; None if undecided."""


def equal_answers(
    gold: str,
    answer: str,
    kind: AnswerKind,
    *,
    percent: bool = False,
    algebra: Algebra | None = None,
) -> bool | None:
    """Whether two answers of `kind` are equal; None if only algebra can decide and none
    is given.

    If the gold answer is a number, it is also compared with the only number of a
    phrase: "She makes $18 every day".

    Args:
        gold, answer: the two texts.
        kind: "number": a percent sign is a unit, so "50%" is 50. "text": canonical
            forms decide.
        percent: the question asks for a percentage.
        algebra: decides between expressions; `exact_algebra` if not given.
    """
    is_long = max(len(gold), len(answer)) > LONGEST_ANSWER
    if kind == "text" or is_long or gold.split() == answer.split():
        return canonical_form(gold, kind) == canonical_form(answer, kind)
    decide = algebra or exact_algebra
    expected, given = (_read(text, kind) for text in (gold, answer))
    result = same_value(expected, given, decide, percent=percent)
    if result is not True and isinstance(expected, Number) and _may_be_phrase(given, kind):
        phrase = read_phrase(spell(answer))
        if phrase is not None and expected.unit in (None, phrase.unit):
            phrase = _bare(phrase) if kind == "number" else phrase
            return same_value(expected, phrase, decide, percent=percent)
    return result


def asks_percentage(question: str) -> bool:
    """Whether a question asks for a percentage; a bare number in the answer then is
    one.
    """
    return re.search(r"\bpercent|\b(?:what|how many|in) \\?%", question, re.IGNORECASE) is not None


def same_value(
    gold: Value, answer: Value, algebra: Algebra, *, percent: bool = False
) -> bool | None:
    """Whether two values are the same answer; None if `algebra` must decide and
    returned None.

    Args:
        gold, answer: the two values.
        algebra: decides between expressions.
        percent: the question asks for a percentage.
    """
    if isinstance(gold, Named) and isinstance(answer, Named):
        if gold.name != answer.name:
            equations = [_equation(side) for side in (gold, answer)]
            known = [one for one in equations if one is not None]
            return algebra(*known) if len(known) == 2 else False
        return same_value(gold.value, answer.value, algebra, percent=percent)
    if isinstance(gold, Named) or isinstance(answer, Named):
        named, other = (gold, answer) if isinstance(gold, Named) else (answer, gold)
        assert isinstance(named, Named)
        if isinstance(other, Equation):
            equation = _equation(named)
            return False if equation is None else algebra(equation, other)
        return same_value(named.value, other, algebra, percent=percent)
    if isinstance(gold, Number) and isinstance(answer, Number):
        return _same_quantity(gold, answer, percent=percent)
    if (
        isinstance(gold, Bracketed)
        and isinstance(answer, Bracketed)
        and gold.brackets == answer.brackets
    ):
        return _same_items(gold, answer, algebra, ordered=gold.brackets not in ("", "{}"))
    if isinstance(gold, Bracketed | Region) and isinstance(answer, Bracketed | Region):
        if isinstance(gold, Bracketed) and isinstance(answer, Bracketed):
            kinds = {gold.brackets, answer.brackets}
            if kinds == {"", "{}"}:
                return _same_items(gold, answer, algebra, ordered=False)
            if kinds == {"", "()"} and (pair := _coordinates(gold) or _coordinates(answer)):
                other = answer if gold.brackets == "" else gold
                return _same_items(pair, other, algebra, ordered=True)
            is_list = "" in kinds and kinds <= {"", "()", "[]"} and len(gold.items) > 2
            return _same_items(gold, answer, algebra, ordered=True) if is_list else False
        left, right = as_region(gold), as_region(answer)
        return False if left is None or right is None else _same_region(left, right, algebra)
    return _same_single(gold, answer, algebra)


def _coordinates(group: Bracketed) -> Bracketed | None:
    """Returns "x = 1, y = 2" as the tuple (1, 2); None if the names are not in
    order.
    """
    named = [item for item in group.items if isinstance(item, Named)]
    names = [item.name for item in named]
    if len(names) != len(group.items) or len(set(names)) != len(names) or names != sorted(names):
        return None
    return Bracketed("()", tuple(item.value for item in named))


def _may_be_phrase(value: Value, kind: AnswerKind) -> bool:
    """Whether a value may really be a phrase with a number; dates and codes only for
    kind `number`.
    """
    if isinstance(value, Number | Named):
        return False
    return kind == "number" or not isinstance(value, Date | Time | InBase | Code)


def _equation(named: Named) -> Equation | None:
    """Returns "y = 2x" as an equation; None for "x = 5", which equals its value."""
    value = _mathematics(named.value)
    return Equation(Expression(named.name), value) if isinstance(value, Expression) else None


def _read(text: str, kind: AnswerKind) -> Value:
    value = read_value(text)
    return _bare(value) if kind == "number" and isinstance(value, Number) else value


def _bare(number: Number) -> Number:
    """Returns a percentage as its bare number."""
    if not number.is_percent:
        return number
    places = None if number.places is None else number.places - 2 or None
    return replace(number, value=100 * number.value, is_percent=False, places=places)


def _same_single(gold: Value, answer: Value, algebra: Algebra) -> bool | None:
    """Compares values that are neither groups nor `Named`."""
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, InBase) and isinstance(other, Number):
            is_plain = other.unit is None and not other.is_percent and one.digits.isdigit()
            return is_plain and Fraction(one.digits) == other.value
        if isinstance(one, MultipleChoice):
            letter = other.text if isinstance(other, Code) else None
            letter = other.letter if isinstance(other, MultipleChoice) else letter
            texts = {one.text, other.text if isinstance(other, MultipleChoice) else None} - {None}
            is_letter = (
                letter is not None and len(texts) < 2 and (letter.isupper() or letter in "abcdefgh")
            )
            return is_letter and letter is not None and letter.upper() == one.letter
        if isinstance(one, Bracketed) and one.brackets == "{}" and len(one.items) == 1:
            return same_value(one.items[0], other, algebra)
        if isinstance(one, Code) and isinstance(other, Number) and other.unit is not None:  # "5m"
            quantity = read_quantity(re.sub(r"(?<=[0-9])(?=[A-Za-z])", " ", one.text))
            return quantity is not None and _same_quantity(quantity, other, percent=False)
        if isinstance(one, InBase) and isinstance(other, Code):
            return one.digits == other.text.upper()
        if isinstance(one, Code) and isinstance(other, Number) and _GROUPED.fullmatch(one.text):
            return Fraction(re.sub("[^0-9]", "", one.text)) == other.value
        if isinstance(one, Code) and isinstance(other, Number) and one.text != "e":
            return False
    if isinstance(gold, Code | Words) and isinstance(answer, Code | Words):
        return type(gold) is type(answer) and gold.text == answer.text
    one_side, other_side = _mathematics(gold), _mathematics(answer)
    if one_side is None or other_side is None:
        return gold == answer
    if _units_differ(_unit(one_side), _unit(other_side)):
        return False
    if one_side == other_side:
        return True
    return algebra(one_side, other_side)


def exact_algebra(gold: Mathematics, answer: Mathematics) -> bool | None:
    """Compares rational numbers, and expressions with equal LaTeX; None for everything
    else.
    """
    numbers = [rational(one) for one in (gold, answer)]
    if None not in numbers:
        return same_number(*(number for number in numbers if number is not None))
    if isinstance(gold, Expression) and isinstance(answer, Expression):
        return gold.latex == answer.latex or None
    return None


def rational(value: Mathematics) -> Number | None:
    """Returns the exact number that a mathematical value states, or None."""
    if isinstance(value, Number):
        return value
    if isinstance(value, Equation):
        return None
    try:
        number = exact(parse(value.latex))
    except UnreadableError:
        return None
    return None if number is None else Number(number, value.unit)


def _same_quantity(gold: Number, answer: Number, *, percent: bool) -> bool:
    if _units_differ(gold.unit, answer.unit):
        return False
    if gold.is_percent != answer.is_percent:
        if gold.unit or answer.unit:
            return False
        share, bare = (gold, answer) if gold.is_percent else (answer, gold)
        if percent and bare.value == 100 * share.value:
            return True
    return same_number(gold, answer)


def _units_differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _unit(value: Mathematics) -> str | None:
    return None if isinstance(value, Equation) else value.unit


def _mathematics(value: Value) -> Mathematics | None:
    """Returns a value as mathematics, or None; letters and digits in a row are a
    product ("2x", "ab").
    """
    if isinstance(value, Expression | Equation | Number):
        return value
    is_product = isinstance(value, Code) and value.text.isalnum() and not value.text.isdigit()
    return Expression(value.text) if isinstance(value, Code) and is_product else None


def _same_items(
    gold: Bracketed, answer: Bracketed, algebra: Algebra, *, ordered: bool
) -> bool | None:
    if len(gold.items) != len(answer.items):
        return False
    if ordered or any(_has_order(item) for item in gold.items):
        pairs = zip(gold.items, answer.items, strict=True)
        return _all(same_value(one, other, algebra) for one, other in pairs)
    left = list(answer.items)
    is_sure = True
    for item in gold.items:
        results = [same_value(item, other, algebra) for other in left]
        if True in results:
            left.pop(results.index(True))
        elif None in results:
            is_sure = False
        else:
            return False
    return True if is_sure else None


def _has_order(item: Value) -> bool:
    """Whether the order of a bare list with this item matters: for words and codes, not
    for numbers, mathematics and choices (A, C).
    """
    if isinstance(item, Code):
        return re.fullmatch("[A-H]", item.text) is None
    return isinstance(item, Words)


def _same_region(gold: Region, answer: Region, algebra: Algebra) -> bool | None:
    if len(gold.pieces) != len(answer.pieces) or _units_differ(gold.variable, answer.variable):
        return False
    pairs = zip(sorted(gold.pieces, key=_place), sorted(answer.pieces, key=_place), strict=True)
    return _all(_same_interval(one, other, algebra) for one, other in pairs)


def _same_interval(one: Interval, other: Interval, algebra: Algebra) -> bool | None:
    if (one.has_low, one.has_high) != (other.has_low, other.has_high):
        return False
    return _all(
        a is b if a is None or b is None else same_value(a, b, algebra)
        for a, b in ((one.low, other.low), (one.high, other.high))
    )  # fmt: skip


def _place(piece: Interval) -> tuple[int, Fraction]:
    """Sort key: the lower end if it is a rational number; other pieces keep their
    order.
    """
    if piece.low is None:
        return (-1, Fraction(0))
    number = rational(piece.low) if isinstance(piece.low, Expression | Number) else None
    return (1, Fraction(0)) if number is None else (0, number.value)


def _all(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    return False if False in found else None if None in found else True
