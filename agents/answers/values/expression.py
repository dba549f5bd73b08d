"""Parses LaTeX and ASCII mathematics into a tree.

The tree is a nested tuple: ("num", Fraction), ("sym", name), (operation, argument,
...); sums and products have any number of arguments, so that the tree's depth is the
nesting. Input outside the grammar raises `UnreadableError`, and so does nesting deeper
than `DEEPEST`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]

DEEPEST = 40

_FUNCTION_NAMES = (
    "sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh ln lg log exp sqrt"
)
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi"
    " rho sigma tau phi varphi chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell"
)
_GREEK = frozenset(_GREEK_NAMES.split())
_CONSTANTS = {"pi": "pi", "infty": "infinity"}
_OPERATORS = {"cdot": "*", "times": "*", "div": "/", "ast": "*"}
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r" *(?P<token>\\[A-Za-z]+|\\[{}|]"
    r"|[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3}(?![0-9A-Za-z]))?|\.[0-9]+"
    r"|(?:arc|a)?(?:sin|cos|tan)h?(?![a-z])|(?:cot|sec|csc|pi)(?![a-z])|sqrt|log|ln|exp"
    r"|[A-Za-z](?:_(?:\{[A-Za-z0-9]+\}|[A-Za-z0-9]))?|\*\*|[-+*/^()\[\]{}|!°%_])"
)
_INTEGER = re.compile(r"[0-9]+")


class UnreadableError(Exception):
    """A text is not an expression of this grammar."""

    @property
    def is_command(self) -> bool:
        """Whether the cause is an unknown LaTeX command rather than the syntax."""
        return str(self).startswith("\\")


def parse(text: str) -> Node:
    """Returns the tree of an expression.

    Raises: UnreadableError: the text is not an expression of this grammar.
    """
    parser = _Parser(text)
    node = parser.sum()
    if parser.token:
        raise UnreadableError(parser.token)
    return node


def symbols(node: Node) -> set[str]:
    """Returns the names of a tree's variables."""
    if node[0] == "sym":
        return {node[1]}
    return {name for child in node[1:] if isinstance(child, tuple) for name in symbols(child)}


class _Parser:
    """Recursive descent over the tokens of one text; `token` is the next token, "" at
    the end.
    """

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        end = 0
        text = text.strip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                raise UnreadableError(text[end : end + 20])
            self.tokens.append(match["token"])
            end = match.end()
        self.tokens.append("")
        self.at = self.depth = 0
        self.bars = 0

    @property
    def token(self) -> str:
        return self.tokens[self.at]

    def take(self, expected: str | None = None) -> str:
        token = self.token
        if not token or (expected is not None and token != expected):
            raise UnreadableError(f"{token!r} where {expected!r} was expected")
        self.at += 1
        return token

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnreadableError("nested too deeply")

    def sum(self) -> Node:
        sign = self.take() if self.token in ("+", "-") else ""
        terms = [_negative(self.product()) if sign == "-" else self.product()]
        while self.token in ("+", "-"):
            sign = self.take()
            term = self.product()
            terms.append(_negative(term) if sign == "-" else term)
        return _joined("add", terms)

    def product(self) -> Node:
        factors = [self.signed()]
        while True:
            operator = self.token
            if operator.startswith("\\"):
                operator = _OPERATORS.get(operator[1:], "")
            if operator in ("*", "/"):
                self.take()
                factor = self.signed()
                factors.append(("inv", factor) if operator == "/" else factor)
            elif self.begins_factor():
                before = self.tokens[self.at - 1]
                if _is_number(before) and _is_number(self.token):
                    raise UnreadableError("two numbers side by side")
                factor = self.power()
                is_integer = _INTEGER.fullmatch(before) and factors[-1][0] == "num"
                if is_integer and _is_proper_fraction(factor):
                    factors[-1] = ("add", factors[-1], factor)
                else:
                    factors.append(factor)
            else:
                return _joined("mul", factors)

    def signed(self) -> Node:
        if self.token in ("+", "-"):
            return ("neg", self.signed_power()) if self.take() == "-" else self.signed_power()
        return self.power()

    def signed_power(self) -> Node:
        if self.token in ("+", "-"):
            raise UnreadableError("two signs")
        return self.power()

    def begins_factor(self) -> bool:
        token = self.token
        if token == "|":
            return self.bars == 0
        if token.startswith("\\"):
            closing = ("\\}", "\\|", "\\rfloor", "\\rceil")
            return token not in closing and token[1:] not in _OPERATORS
        return token in ("(", "[", "{") or token[:1].isalnum() or token[:1] == "."

    def power(self) -> Node:
        base = self.postfix(self.atom())
        if self.token in ("^", "**"):
            self.take()
            exponent = self.argument(sign=True)
            if self.token in ("^", "**"):
                self.take()
                exponent = ("pow", exponent, self.argument(sign=True))
                if self.token in ("^", "**"):
                    raise UnreadableError("a tower without braces")
            base = self.postfix(("pow", base, exponent))
        return base

    def postfix(self, node: Node) -> Node:
        for _ in range(3):
            if self.token not in ("!", "°", "%"):
                break
            token = self.take()
            if token == "!":
                if node[0] == "fact":
                    raise UnreadableError("a double factorial")
                node = ("fact", node)
            elif token == "%":
                node = ("div", node, ("num", Fraction(100)))
            else:
                node = ("mul", node, ("div", ("const", "pi"), ("num", Fraction(180))))
        return node

    def argument(self, *, sign: bool = False) -> Node:
        """Reads the argument of a command: a group in braces, or one token."""
        if sign and self.token in ("+", "-"):
            negative = self.take() == "-"
            node = self.argument()
            return ("neg", node) if negative else node
        return self.group("{") if self.token == "{" else self.atom()

    def group(self, opening: str) -> Node:
        self.take(opening)
        self.deeper()
        bars, self.bars = self.bars, 0
        node = self.sum()
        self.bars = bars
        self.depth -= 1
        self.take(_CLOSED_BY[opening])
        return node

    def atom(self) -> Node:
        self.deeper()
        node = self.plain_atom()
        self.depth -= 1
        return node

    def plain_atom(self) -> Node:
        token = self.token
        if token in ("(", "[", "{"):
            return self.group(token)
        if token == "|":
            self.take()
            self.bars += 1
            node = self.sum()
            self.bars -= 1
            self.take("|")
            return ("abs", node)
        self.take()
        if _is_number(token):
            return ("num", Fraction(token.replace(",", "")))
        if token.startswith("\\"):
            return self.command(token[1:])
        if token in FUNCTIONS:
            return self.function(token)
        if token in _CONSTANTS:
            return ("const", _CONSTANTS[token])
        if token[0].isalpha():
            name = token.replace("{", "").replace("}", "")
            return ("const", name) if name in ("i", "e") else ("sym", name)
        raise UnreadableError(token)

    def command(self, name: str) -> Node:
        if name in _CONSTANTS and name != "infty":
            return ("const", _CONSTANTS[name])
        if name in _GREEK:
            return ("sym", "\\" + name + self.subscript())
        if name in FUNCTIONS:
            return self.function(name)
        if name == "frac":
            return ("div", self.argument(), self.argument())
        if name == "binom":
            return ("binom", self.argument(), self.argument())
        if name in ("lfloor", "lceil"):
            node = self.sum()
            self.take("\\r" + name[1:])
            return (name[1:], node)
        raise UnreadableError("\\" + name)

    def subscript(self) -> str:
        if self.token != "_":
            return ""
        self.take()
        if self.token != "{":
            return "_" + self.take()
        self.take()
        name = "_" + self.take()
        self.take("}")
        return name

    def function(self, name: str) -> Node:
        if name == "sqrt":
            degree: Node = ("num", Fraction(2))
            if self.token == "[":
                degree = self.group("[")
            if self.token in ("(", "{"):
                return ("root", self.group(self.token), degree)
            return ("root", self.atom(), degree)
        base: Node | None = None
        if name == "log" and self.token == "_":
            self.take()
            base = self.argument()
        exponent = None
        if self.token in ("^", "**"):
            self.take()
            exponent = self.argument(sign=True)
        inner = self.group(self.token) if self.token in ("(", "{") else self.bare_argument()
        if exponent == ("neg", ("num", Fraction(1))) and name in ("sin", "cos", "tan"):
            return ("fn", "a" + name, inner)
        name = "log" if name == "lg" else name.replace("arc", "a")
        node: Node = ("fn", name, inner)
        if base is not None:
            node = ("div", ("fn", "ln", inner), ("fn", "ln", base))
        return node if exponent is None else ("pow", node, exponent)

    def bare_argument(self) -> Node:
        """Reads a function's argument without parentheses (`\\sin 2x`), up to an
        operator or the next function.
        """
        sign = self.token == "-"
        if sign:
            self.take()
        factors = [self.power()]
        while self.begins_factor() and self.token not in ("(", "[", "|"):
            if self.token.lstrip("\\") in FUNCTIONS:
                break
            if _is_number(self.tokens[self.at - 1]) and _is_number(self.token):
                raise UnreadableError("two numbers side by side")
            factors.append(self.power())
        node = _joined("mul", factors)
        return _negative(node) if sign else node


def _is_proper_fraction(factor: Node) -> bool:
    """Whether a factor forms a mixed number with the integer before it."""
    if factor[0] != "div" or any(part[0] != "num" for part in factor[1:]):
        return False
    top, bottom = factor[1][1], factor[2][1]
    return bool(top.denominator == bottom.denominator == 1 and 0 < top < bottom)


def _joined(kind: str, parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else (kind, *parts)


def _negative(node: Node) -> Node:
    return ("neg", node)


def _is_number(token: str) -> bool:
    return token[:1].isdigit() or token[:1] == "."
