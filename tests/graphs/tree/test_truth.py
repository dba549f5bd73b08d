"""The exact truth about the nodes of hand-made trees."""

from __future__ import annotations

from agents.types import Question
from graphs.tree import ReasoningTree
from graphs.tree.truth import truth_of
from tests.graphs.evaluation.search_comparison.trees import (
    FIRST,
    LOST,
    LUCKY,
    SECOND,
    SLIP,
    SOUND,
    SUM,
    WRONG_END,
    problem_of,
    samples,
    steps_below,
)


def test_luck_is_an_answer_and_no_derivation() -> None:
    tree = ReasoningTree.replay(SUM, [samples(SOUND, LUCKY, WRONG_END, SOUND, LOST)])
    truth = truth_of(tree, problem_of())
    texts = [tree.step(node).content.reveal().text for node in range(1, len(tree))]
    assert [text for node, text in enumerate(texts, 1) if truth.answered[node]] == [
        "Answer: 216"
    ] * 2
    assert truth.derived.sum() == 1
    by_text = dict(zip(texts, truth.right[1:].tolist(), strict=True))
    assert by_text[FIRST] and by_text[SECOND] and not by_text[SLIP]
    assert by_text["28 * 8 = 224"], "right as its prefix stands"
    assert not truth.sound[texts.index("28 * 8 = 224") + 1], "and below a wrong step"


def test_of_value_scope_a_dead_end_is_wrong() -> None:
    question = Question(
        text="Use the numbers 2, 3 and 5 to make 30.", gold="2 * 3 * 5", task="pocket"
    )
    tree = ReasoningTree.replay(
        question, [steps_below(0, "3 * 2 = 6 ; left 5 6", "3 - 2 = 1 ; left 1 5")]
    )
    assert truth_of(tree, problem_of(question)).right.tolist() == [True, True, False]
