"""What runs in the math checker's child processes: math-verify and sympy, which may hang, and nothing else.

math-verify's own time limits are switched off: they are alarm signals that C code and a caught exception outlive; the pool kills.
"""

from __future__ import annotations

import logging

from math_verify import parse, verify

logging.disable(logging.CRITICAL)


def equivalent(gold: str, answer: str) -> bool:
    """Returns whether math-verify takes two LaTeX expressions for equal; decimals are compared to six places."""
    return bool(verify(_parse(gold), _parse(answer), timeout_seconds=None))


def _parse(expression: str) -> list[object]:
    # In a box math-verify reads the whole expression, instead of looking for the last number in it.
    parsed: list[object] = parse("\\boxed{" + expression + "}", parsing_timeout=None)
    return parsed
