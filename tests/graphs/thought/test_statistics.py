"""Statistics of thoughts and trees."""

from __future__ import annotations

import random

from hypothesis import given

from agents.types import Hidden
from graphs.thought.derive import derive_journey
from graphs.thought.long_thought import LongThought, Segment
from graphs.thought.statistics import TreeStatistics, thought_statistics, tree_statistics
from graphs.tree import Event, Expanded, Judged, ReasoningTree
from tests.graphs.tree.logs import QUESTION, UNPARSED, make_step, trees, verdict


def test_a_thought_in_numbers() -> None:
    thought = LongThought(
        (
            Segment("wrong", 1, Hidden("3 + 7 = 11")),
            Segment("reflect", 1, Hidden("Wait, but 3 + 7 is 10.\n\nwaiting")),
            Segment("backtrack", 0, Hidden("Back to step 0.")),
            Segment("answer", 2, Hidden("So: 21")),
        ),
        "journey",
    )
    numbers = thought_statistics(thought)
    assert (numbers.segments, numbers.wrong_turns, numbers.wrong_steps) == (4, 1, 1)
    assert (numbers.lines, numbers.words, numbers.tokens) == (5, 19, 19)
    assert numbers.keywords == {"wait": 1, "but": 1, "wait but": 1, "so": 1, "back to": 1}
    assert thought_statistics(thought, tokenize=list).tokens == sum(
        len(s.text.reveal()) for s in thought.segments
    )


@given(trees())
def test_wrong_turns_are_counted_by_their_backtracks(tree: ReasoningTree) -> None:
    thought = derive_journey(tree, None, rng=random.Random(0), wrong_trials=2, off_path_depth=0)
    numbers = thought_statistics(thought)
    assert numbers.wrong_turns == numbers.wrong_steps


def test_a_tree_in_numbers() -> None:
    events: list[Event] = [
        Expanded(0, ((make_step("a"),), (make_step("b"), make_step("c", answer="21")))),
        Judged(1, verdict(-1.0)),
        Judged(2, verdict(1.0)),
        Judged(3, UNPARSED),
    ]
    assert tree_statistics(ReasoningTree.replay(QUESTION, events)) == TreeStatistics(
        nodes=3,
        depth=2,
        branching=1.5,
        leaves=2,
        answers=1,
        judged=2,
        known_wrong=1,
        backtracked=0,
        unparsed=1,
        no_claim=0,
        uncalibrated=0,
        backtracks=0,
    )
    assert tree_statistics(ReasoningTree(QUESTION)) == TreeStatistics(
        0, 0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    )


@given(trees())
def test_a_tree_has_one_edge_for_each_node(tree: ReasoningTree) -> None:
    numbers = tree_statistics(tree)
    assert round(numbers.branching * (numbers.nodes + 1 - numbers.leaves)) == numbers.nodes
    assert numbers.answers <= numbers.nodes and numbers.judged <= numbers.nodes
