"""The exact rational value of an expression tree, if it has one of bounded size."""

from __future__ import annotations

import math
from fractions import Fraction

from agents.answers.values.expression import Node

LARGEST_BITS = 20_000
"""Bits of the largest numerator or denominator; arithmetic on it takes microseconds."""


def exact(node: Node, *, bits: int = LARGEST_BITS) -> Fraction | None:
    """Returns the rational value of a tree; None if it has none, or one of more than
    `bits` bits.
    """
    kind = node[0]
    if kind == "num":
        number: Fraction = node[1]
        return number
    if kind not in (
        "add",
        "mul",
        "inv",
        "div",
        "pow",
        "neg",
        "fact",
        "root",
        "binom",
        "abs",
        "floor",
        "ceil",
    ):
        return None
    values: list[Fraction] = []
    for child in node[1:]:
        value = exact(child, bits=bits)
        if value is None:
            return None
        values.append(value)
    if kind not in ("add", "mul"):
        return _compute(kind, bits, *values)
    total: Fraction | None = values[0]
    for value in values[1:]:
        total = None if total is None else _compute(kind, bits, total, value)
    return total


def folded(node: Node) -> Node:
    """Returns the tree with constant folding: each subtree with an exact value becomes
    a number.
    """
    value = exact(node)
    if value is not None:
        return ("num", value)
    return (node[0], *(folded(part) if isinstance(part, tuple) else part for part in node[1:]))


def _compute(kind: str, bits: int, a: Fraction, b: Fraction = Fraction(0)) -> Fraction | None:
    if max(_bits(a), _bits(b)) > bits:
        return None
    match kind:
        case "add":
            return a + b
        case "mul":
            return a * b
        case "div":
            return a / b if b else None
        case "inv":
            return 1 / a if a else None
        case "neg":
            return -a
        case "abs":
            return abs(a)
        case "floor":
            return Fraction(math.floor(a))
        case "ceil":
            return Fraction(math.ceil(a))
        case "pow":
            return _power(a, b, bits)
        case "root":
            return None if b.denominator != 1 or b <= 0 else _power(a, 1 / b, bits)
        case "fact":
            is_small = a.denominator == 1 and 0 <= 16 * a <= bits
            return Fraction(math.factorial(int(a))) if is_small else None
    if a.denominator == b.denominator == 1 and 0 <= b <= a and 16 * a <= bits:  # binom
        return Fraction(math.comb(int(a), int(b)))
    return None


def _power(base: Fraction, exponent: Fraction, bits: int) -> Fraction | None:
    """Returns base ** exponent if it is rational and small enough; None for 0 ** 0 and
    0 ** -1.
    """
    if not base:
        return Fraction(0) if exponent > 0 else None
    if base == 1 or not exponent:
        return Fraction(1)
    if abs(exponent.numerator) * _bits(base) > bits or exponent.denominator > LARGEST_BITS:
        return None
    if exponent.denominator != 1:
        if base < 0:
            return None  # the principal root is complex
        degree = exponent.denominator
        top, bottom = _root(base.numerator, degree), _root(base.denominator, degree)
        if top is None or bottom is None:
            return None
        base = Fraction(top, bottom)
    return base**exponent.numerator


def _root(number: int, degree: int) -> int | None:
    """Returns the exact integer root, or None; by integer bisection."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle - 1
    return low if low**degree == number else None


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
