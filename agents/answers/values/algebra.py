"""Decides whether two expressions are equal: by their values at random points, or by
math-verify.

Runs in the math checker's child processes only. Expressions that
`agents.answers.values.expression` parses are evaluated with 60 and with 400 digits: the
difference of equal expressions shrinks with the precision, that of different ones does
not. The names of the variables seed the points, so a check is deterministic. Points at
which an expression takes a root or a logarithm of a negative value are used only if too
few others exist: `\\sqrt{x^3} = x\\sqrt{x}` is meant for positive x.

Expressions with an unknown LaTeX command (`\\vec`) are passed to math-verify, but only
if both sides have the same words, numbers and commands, because it compares decimals to
six places, ignores case, and reads "not equal to 18" as 18.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]

from agents.answers.values.compare import Mathematics, exact_algebra
from agents.answers.values.expression import Node, UnreadableError, parse, symbols
from agents.answers.values.numbers import Number, same_number
from agents.answers.values.rational import exact, folded
from agents.answers.values.typed_values import Equation, Expression

_LOW, _HIGH = 60, 400
"""Decimal digits of the two evaluations."""
_POINTS = 12
_EXACT_BITS = 2_000_000
_LARGEST = 10**6
"""Largest magnitude, in bits; larger numbers raise `NoValueError`."""
_FUNCTIONS = {"log": "log10"}
_ORDERED = {"\\times", "\\equiv", "\\pmod", "\\bmod", "\\mod", "\\partial"}
"""Commands whose arguments math-verify swaps or drops."""


class NoValueError(Exception):
    """An expression has no value at a point: division by zero, or a number that is too
    large.
    """


def equal_mathematics(gold: Mathematics, answer: Mathematics) -> bool:
    """Whether two mathematical values are equal."""
    known = exact_algebra(gold, answer)
    if known is not None:
        return known
    if isinstance(gold, Equation) != isinstance(answer, Equation):
        return False
    try:
        if isinstance(gold, Equation) and isinstance(answer, Equation):
            return _proportional(_zero_side(gold), _zero_side(answer))
        one, other = _tree(gold), _tree(answer)
        large = [exact(tree, bits=_EXACT_BITS) for tree in (one, other)]
        if None not in large and not any(isinstance(side, Number) for side in (gold, answer)):
            return large[0] == large[1]
    except UnreadableError as error:
        return error.is_command and _ask_math_verify(_latex(gold), _latex(answer))
    for number, tree in ((gold, other), (answer, one)):
        if isinstance(number, Number) and symbols(tree):
            return False
    for decimal, tree in ((gold, other), (answer, one)):
        if isinstance(decimal, Number) and decimal.places is not None:
            return equal_trees(one, other) or _is_decimal_of(decimal, tree)
    return equal_trees(one, other)


def equal_trees(one: Node, other: Node) -> bool:
    """Whether two trees have equal values at all points where both have one."""
    if folded(one) == folded(other):
        return True
    agreed = _agreements(one, other)
    return bool(agreed) and all(agreed)


def evaluate(node: Node, point: dict[str, Fraction], domain: list[bool]) -> Any:
    """Returns a tree's complex value at the current precision.

    Args:
        node: the tree. point: the variables' values. domain: receives True for each
            root or logarithm of a value that is not positive, else False.

    Raises: NoValueError: the tree has no value at this point.
    """
    mp = mpmath.mp
    kind = node[0]
    if kind == "num":
        return mp.mpf(node[1].numerator) / node[1].denominator
    if kind == "const":
        return {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1)}[node[1]] * 1
    if kind == "sym":
        return mp.mpf(point[node[1]].numerator) / point[node[1]].denominator
    if kind == "fn":
        value = evaluate(node[2], point, domain)
        if node[1] in ("ln", "log"):
            domain.append(not _is_positive(value))
        if node[1] in ("exp", "sinh", "cosh", "tanh") and abs(value) > _LARGEST:
            raise NoValueError(node[1])
        name: str = node[1]
        return _sized(getattr(mp, _FUNCTIONS.get(name, name))(value))
    values = [evaluate(child, point, domain) for child in node[1:]]
    match kind, *values:
        case "add", *terms:
            return sum(terms[1:], terms[0])
        case "mul", *factors:
            value = factors[0]
            for factor in factors[1:]:
                value = _sized(value * factor)
            return value
        case "inv", a:
            if not a:
                raise NoValueError("a division by zero")
            return _sized(1 / a)
        case "neg", a:
            return -a
        case "div", a, b:
            if not b:
                raise NoValueError("a division by zero")
            return _sized(a / b)
        case "pow", a, b:
            return _power(a, b, domain)
        case "root", a, b:
            if not b:
                raise NoValueError("a root of degree zero")
            return _power(a, 1 / b, domain, b)
        case "abs", a:
            return abs(a)
        case (("floor" | "ceil"), a):
            return getattr(mp, kind)(a)
        case "fact", a:
            if abs(a) > _LARGEST or (mp.im(a) == 0 and mp.re(a) < 0 and mp.isint(a)):
                raise NoValueError("a factorial")
            return _sized(mp.factorial(a))
        case "binom", a, b:
            if max(abs(a), abs(b)) > _LARGEST:
                raise NoValueError("a binomial coefficient")
            return _sized(mp.binomial(a, b))
    raise NoValueError(kind)


def _power(base: Any, exponent: Any, domain: list[bool], degree: Any = None) -> Any:
    mp = mpmath.mp
    if not base:
        if mp.re(exponent) <= 0:
            raise NoValueError("a power of zero")
        return base * 0
    if abs(exponent) * (abs(mp.mag(base)) + 2) > _LARGEST:
        raise NoValueError("a large power")
    if not mp.isint(exponent):
        is_odd = degree is not None and mp.isint(degree) and int(degree) % 2
        if is_odd and mp.im(base) == 0 and mp.re(base) < 0:
            return -((-base) ** exponent)  # the real cube root
        domain.append(not _is_positive(base))
    return _sized(base**exponent)


def _is_positive(value: Any) -> bool:
    return bool(mpmath.mp.im(value) == 0 and mpmath.mp.re(value) >= 0)


def _sized(value: Any) -> Any:
    if not mpmath.mp.isfinite(value) or (value and abs(mpmath.mp.mag(value)) > _LARGEST):
        raise NoValueError("a number out of range")
    return value


def _agreements(one: Node, other: Node) -> list[bool]:
    """Returns, for each point where both trees have values, whether they are equal.
    Points outside the real domain are included only if at most one lies inside.
    """
    names = sorted(symbols(one) | symbols(other))
    inside: list[bool] = []
    outside: list[bool] = []
    for number in range(_POINTS if names else 1):
        point = {name: _coordinate(name, number) for name in names}
        domain: list[bool] = []
        try:
            found = [_values(tree, point, domain) for tree in (one, other)]
        except (NoValueError, ArithmeticError, ValueError):
            continue
        (outside if any(domain) else inside).append(_vanishes(*found))
    return inside if len(inside) > 1 else inside + outside


def _values(tree: Node, point: dict[str, Fraction], domain: list[bool]) -> tuple[Any, Any]:
    """Returns a tree's values in low and high precision."""
    with mpmath.workdps(_LOW):
        low = +evaluate(tree, point, domain)
    with mpmath.workdps(_HIGH):
        return low, +evaluate(tree, point, domain)


def _vanishes(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether the difference of two values (each in low and high precision) is zero."""
    with mpmath.workdps(_HIGH):
        high = abs(one[1] - other[1])
        size = max(abs(one[1]), abs(other[1]))
        if not high or high <= size * mpmath.mpf(10) ** (15 - _HIGH):
            return True
        with mpmath.workdps(_LOW):
            low = abs(one[0] - other[0])
        return bool(high <= low * mpmath.mpf(10) ** (20 + _LOW - _HIGH))


def _zero_side(equation: Equation) -> Node:
    """Returns the tree `left - right` of an equation."""
    return ("add", parse(equation.left.latex), ("neg", parse(equation.right.latex)))


def _proportional(one: Node, other: Node) -> bool:
    """Whether two equations `tree = 0` are equivalent: one tree is a constant times the
    other.
    """
    names = sorted(symbols(one) | symbols(other))
    if not names:
        return False
    factors: list[Any] = []
    with mpmath.workdps(_HIGH):
        for number in range(_POINTS):
            point = {name: _coordinate(name, number) for name in names}
            domain: list[bool] = []
            try:
                a, b = (evaluate(tree, point, domain) for tree in (one, other))
            except (NoValueError, ArithmeticError, ValueError):
                continue
            if a and b and not any(domain):
                factors.append(a / b)
        if len(factors) < 3:
            return False
        tolerance = abs(factors[0]) * mpmath.mpf(10) ** (60 - _HIGH)
        return all(abs(factor - factors[0]) <= tolerance for factor in factors)


def _coordinate(name: str, number: int) -> Fraction:
    """Returns a variable's value at point `number`: positive for even numbers, of
    random sign for odd ones.
    """
    rng = random.Random(f"{name} {number}")
    value = Fraction(rng.randrange(1_000, 40_000), 9_973)
    return -value if number % 2 and rng.random() < 0.5 else value


def _is_decimal_of(decimal: Number, tree: Node) -> bool:
    """Whether a decimal is a long decimal approximation of a constant (see
    `same_number`).
    """
    try:
        with mpmath.workdps(_HIGH):
            value = evaluate(tree, {}, [])
            if mpmath.mp.im(value) != 0 or (value and abs(mpmath.mp.mag(value)) > 4_000):
                return False
            sign, mantissa, exponent, _ = mpmath.mp.re(value)._mpf_
    except (NoValueError, ArithmeticError, ValueError):
        return False
    exact = Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)
    return same_number(decimal, Number(exact))


def _tree(value: Mathematics) -> Node:
    if isinstance(value, Number):
        return ("num", value.value)
    assert isinstance(value, Expression)
    return parse(value.latex)


def _latex(value: Mathematics) -> str:
    if isinstance(value, Equation):
        return f"{value.left.latex} = {value.right.latex}"
    return f"{value.value}" if isinstance(value, Number) else value.latex


def _ask_math_verify(gold: str, answer: str) -> bool:
    """Returns math-verify's result if both sides have the same words, numbers and
    commands, else False.
    """
    commands, others = (set(re.findall(r"\\[A-Za-z]+", text)) for text in (gold, answer))
    bare = [re.sub(r"\\[A-Za-z]+", "", text) for text in (gold, answer)]
    words, other_words = (sorted(re.findall(r"[^\W\d_]+|(?!1\b)[0-9]+", text)) for text in bare)
    if commands != others or words != other_words or commands & _ORDERED:
        return False
    from math_verify import parse as parse_latex
    from math_verify import verify

    # In a box math-verify parses the whole expression instead of its last number.
    boxes = ["\\boxed{" + text.replace("%", "\\%") + "}" for text in (gold, answer)]
    parsed = [parse_latex(box, parsing_timeout=None) for box in boxes]
    return bool(verify(*parsed, timeout_seconds=None))
