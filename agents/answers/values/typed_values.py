"""The typed values of answers of kind `math`.

`agents.answers.values.reading` reads values, `agents.answers.values.compare` compares
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.answers.values.dates import Date, Time
from agents.answers.values.numbers import Number


@dataclass(frozen=True, slots=True)
class InBase:
    """Digits with their base: `2516_8`. Compared as written, not converted."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Code:
    """Characters whose order and case matter: a phone number, a version, "B7", "ab"."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """Plain words, compared without case: "Paris", "true"."""

    text: str


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """A letter written as a choice: "(C)", "C. Paris"."""

    letter: str
    text: str | None = None
    """The text after the letter, casefolded."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Mathematics in tidied LaTeX, with its unit."""

    latex: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Equation:
    """Two sides; "x = 5" is `Named` instead."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Named:
    """A value with a name: "x = 5", "f(x) = 2x"."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Several values. `brackets` is "()", "[]", "{}", "" (a bare list), "matrix RxC" or
    "compound" (one quantity in several units); "{}" and "" have no order."""

    brackets: str
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of the number line; None is an infinite end, which is open."""

    low: Value | None
    high: Value | None
    has_low: bool
    has_high: bool


@dataclass(frozen=True, slots=True)
class Region:
    """A union of intervals: an interval, or a solved inequality in `variable`."""

    pieces: tuple[Interval, ...]
    variable: str | None = None


Plain = Number | Date | Time | InBase | Code
"""Values with an exact form."""

Value = Plain | Words | MultipleChoice | Expression | Equation | Named | Bracketed | Region


def as_region(value: Value) -> Region | None:
    """Returns a region, or a pair in () or [] as an interval; else None."""
    if isinstance(value, Region):
        return value
    if isinstance(value, Bracketed) and value.brackets in ("()", "[]") and len(value.items) == 2:
        closed = value.brackets == "[]"
        return Region((Interval(*value.items, closed, closed),))
    return None
