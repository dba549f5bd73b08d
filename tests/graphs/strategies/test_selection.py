"""Choosing among answers."""

from __future__ import annotations

import pytest

from graphs.strategies.selection import Selector
from graphs.tree import Expanded
from tests.graphs.strategies.trees import step, tree_of


@pytest.mark.parametrize("shift", [0.0, -750.0])
def test_a_weighted_vote_depends_on_differences_alone(shift: float) -> None:
    """Weights are exp(score), which is 0 for long chains of thought."""
    leaves = [("4", -2.0), ("5", -1.0), ("5", -1.0)]
    tree = tree_of(
        [
            Expanded(
                0,
                tuple(
                    (step(f"{i}", answer=answer, logprob=logprob + shift),)
                    for i, (answer, logprob) in enumerate(leaves)
                ),
                "answer",
            )
        ]
    )
    chosen = Selector("weighted_vote", logprob_weight=1.0).choose(tree, tree.answer_leaves())
    assert chosen is not None and tree.step(chosen).answer == "5"
