"""Exact arithmetic for several families: parsing, evaluating and joining
expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# a longer number is split into adjacent tokens, which the parser rejects
_TOKEN = re.compile(r"\s*(\d{1,12}|[+\-*/()])")
_MAX_TOKENS = 200


class ExpressionError(ValueError):
    """A text is not an expression of integers, + - * / and parentheses."""


@dataclass(frozen=True)
class Operation:
    """An operator and its two operands; a leaf is an int."""

    operator: str
    left: Operation | int
    right: Operation | int


Expression = Operation | int


def parse_expression(text: str) -> Expression:
    """Returns the expression tree of `text`.

    A unary minus is allowed before a number, not before a parenthesis.

    Raises:
        ExpressionError: the text is not an expression, or has more than 200
            tokens.
    """
    text = text.strip().replace("×", "*").replace("÷", "/").replace("−", "-")
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) >= _MAX_TOKENS:
            raise ExpressionError(f"not an expression: {text[:80]!r}")
        tokens.append(match[1])
        position = match.end()
    tree, rest = _parse_sum(tokens, 0)
    if rest != len(tokens):
        raise ExpressionError(f"not an expression: {text[:80]!r}")
    return tree


def _parse_sum(tokens: list[str], position: int) -> tuple[Expression, int]:
    tree, position = _parse_product(tokens, position)
    while position < len(tokens) and tokens[position] in "+-":
        right, after = _parse_product(tokens, position + 1)
        tree, position = Operation(tokens[position], tree, right), after
    return tree, position


def _parse_product(tokens: list[str], position: int) -> tuple[Expression, int]:
    tree, position = _parse_atom(tokens, position)
    while position < len(tokens) and tokens[position] in "*/":
        right, after = _parse_atom(tokens, position + 1)
        tree, position = Operation(tokens[position], tree, right), after
    return tree, position


def _parse_atom(tokens: list[str], position: int) -> tuple[Expression, int]:
    if position >= len(tokens):
        raise ExpressionError("the expression ends too early")
    token = tokens[position]
    if token == "-" and position + 1 < len(tokens) and tokens[position + 1].isdigit():
        return -int(tokens[position + 1]), position + 2
    if token == "(":
        tree, position = _parse_sum(tokens, position + 1)
        if position >= len(tokens) or tokens[position] != ")":
            raise ExpressionError("a parenthesis is not closed")
        return tree, position + 1
    if token.isdigit():
        return int(token), position + 1
    raise ExpressionError(f"a number was expected, not {token!r}")


def evaluate_exactly(
    text: str, operation_values: list[Fraction] | None = None
) -> tuple[Fraction | None, list[int]]:
    """Returns the value of an expression and the numbers in it; (None, []) if it is
    invalid or divides by zero.

    `operation_values`, if given, receives the value of each operation in the order of
    evaluation.
    """
    used: list[int] = []
    values: list[Fraction] = [] if operation_values is None else operation_values

    def value_of(tree: Expression) -> Fraction:
        if isinstance(tree, int):
            used.append(tree)
            return Fraction(tree)
        left, right = value_of(tree.left), value_of(tree.right)
        result = apply_operator(tree.operator, left, right)
        values.append(result)
        return result

    try:
        return value_of(parse_expression(text)), used
    except (ExpressionError, ZeroDivisionError):
        return None, []


def apply_operator(operator: str, left: Fraction, right: Fraction) -> Fraction:
    """Returns left (operator) right, exactly."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right


def join_expressions(left: str, operator: str, right: str) -> str:
    """Returns "left operator right" with parentheses only where they change the
    value.
    """
    if operator in "*/" and _is_sum(left):
        left = f"({left})"
    if (
        (operator in "*/" and _is_sum(right))
        or (operator == "-" and _is_sum(right))
        or (operator == "/" and re.search(r"[*/]", right) and right[0] != "(")
    ) or (operator == "/" and not right.isdigit() and not _is_wrapped(right)):
        right = f"({right})"
    return f"{left} {operator} {right}"


def _is_sum(expression: str) -> bool:
    """Whether the outermost operation is + or -."""
    depth = 0
    for word in re.findall(r"\d+|\S", expression):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in "+-":
            return True
    return False


def _is_wrapped(expression: str) -> bool:
    depth = 0
    for index, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index == len(expression) - 1 and expression[0] == "("
    return False
