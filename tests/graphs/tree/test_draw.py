"""The drawing of a tree."""

from __future__ import annotations

from graphs.tree import ROOT, Finished, draw
from tests.graphs.strategies.trees import expanded, judged, reflected, step, tree_of


def test_golden_drawing() -> None:
    events = [
        expanded(ROOT, step("a"), step("b", cut=True)),
        judged(1, -2.0),
        reflected(1, "reflect"),
        expanded(ROOT, step("c")),
        judged(3, 1.5),
        expanded(3, step("Answer: 4", answer="4"), step("d")),
        Finished("answered", 4, "4"),
    ]
    assert draw(tree_of(events)).reveal().splitlines() == [
        "what?",
        "├─ ✗ a  (critic 0.50; -2.0 nats)",
        "│     because",
        "├─ … b",
        "└─ ✓ c  (critic 0.50; +1.5 nats)",
        "   ├─ ★ Answer: 4",
        "   └─ · d",
    ]
    assert repr(draw(tree_of(events))) == "<hidden>"


def test_what_was_judged_right_and_given_up_all_the_same_is_no_wrong_step() -> None:
    events = [
        expanded(ROOT, step("a")),
        judged(1, 2.0),
        expanded(1, step("b")),
        judged(2, -1.0),
        reflected(2, "backtrack", target=ROOT),
    ]
    assert draw(tree_of(events)).reveal().splitlines()[1:3] == [
        "└─ ↩ a  (critic 0.50; +2.0 nats)",
        "   └─ ✗ b  (critic 0.50; -1.0 nats)",
    ]


def test_an_end_without_a_word_is_seen() -> None:
    assert draw(tree_of([expanded(ROOT, step("", answer=""))])).reveal().splitlines() == [
        "what?",
        "└─ · (ends here)",
    ]
