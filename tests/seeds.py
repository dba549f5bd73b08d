"""Seeds of law tests: the first few by default, all of them with `make test-slow`."""

from __future__ import annotations

import pytest


def seeds(count: int, *, first: int) -> pytest.MarkDecorator:
    """Returns a parametrization of `seed` over `count` seeds; all but the `first` are
    slow.
    """
    slow = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(first, count)]
    return pytest.mark.parametrize("seed", [*range(first), *slow])
