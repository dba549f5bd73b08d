"""Whole searches against golden files: what was asked round by round, the tree that
came of it, and the leaf that was chosen.

A golden file holds its own configuration. After a change that is meant:

    LONGTHOUGHT_REGENERATE=1 python -m pytest tests/graphs/strategies/test_golden.py

and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphs.strategies import Strategy
from graphs.tree import Expansion, draw
from tests.graphs.strategies.test_laws import STRATEGIES
from tests.graphs.strategies.world import Search, World, simulate

GOLDEN = Path(__file__).parent / "golden"
WORLD = World(seed=3, depth=2, ability=1.5, continuations=3)


def _asked(expansion: Expansion) -> str:
    words = [f"{expansion.n} x {expansion.horizon} below {expansion.node}"]
    if expansion.temperature is not None:
        words.append(f"at temperature {expansion.temperature}")
    if expansion.mistakes:
        words.append(f"shown {', '.join(map(str, expansion.mistakes))}")
    return " ".join(words)


def _record(strategy: Strategy, search: Search) -> str:
    rounds = [
        f"round {number}: {'; '.join(map(_asked, asked))}"
        for number, asked in enumerate(search.requests, 1)
    ]
    settings = repr(strategy).replace("<method 'strip' of 'str' objects>", "str.strip")
    tokens = search.meter.spent.total.generated_tokens
    end = f"chosen: {search.leaf} ({search.answer}), {search.samples} samples, {tokens} tokens"
    return "\n".join([settings, repr(WORLD), *rounds, draw(search.tree).reveal(), end]) + "\n"


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_search_goes_as_it_went_before(name: str) -> None:
    record, path = (
        _record(STRATEGIES[name], simulate(STRATEGIES[name], WORLD)),
        GOLDEN / f"{name}.txt",
    )
    if os.environ.get("LONGTHOUGHT_REGENERATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(record)
    assert record == path.read_text()


def test_every_golden_file_belongs_to_a_strategy() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(STRATEGIES)
