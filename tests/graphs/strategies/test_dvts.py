"""Diverse verifier tree search."""

from __future__ import annotations

import random

from agents.types import Budget, Meter
from graphs.strategies import Dvts
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion, Failed
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, judged, step, tree_of
from tests.graphs.strategies.world import World, simulate

METER = Meter(Budget())
RNG = random.Random(0)
TWO_TREES = make(Dvts, num_samples=4, beam_width=2)
FOUR = [expanded(ROOT, step("a"), step("b"), step("c"), step("d"))]
EVIDENCE = [judged(1, 1.0), judged(2, 3.0), judged(3, -1.0), judged(4, 2.0)]
SEEDED: list[Event] = [
    *FOUR,
    *EVIDENCE,
    expanded(2, step("e"), step("f")),
    expanded(4, step("g"), step("h")),
]
"""Subtrees below b (2) and d (4); their children are 5, 6 and 7, 8."""


def test_the_best_first_steps_seed_the_subtrees() -> None:
    assert TWO_TREES.select(tree_of([]), METER, RNG) == [Expansion(ROOT, n=4)]
    assert TWO_TREES.select(tree_of([*FOUR, *EVIDENCE]), METER, RNG) == [
        Expansion(2, n=2),
        Expansion(4, n=2),
    ]


def test_subtrees_do_not_compete() -> None:
    """Both children of b are better than both of d; still each subtree keeps one."""
    tree = tree_of(
        [
            *SEEDED,
            *(
                judged(node, evidence)
                for node, evidence in ((5, 3.0), (6, 2.0), (7, -5.0), (8, -4.0))
            ),
        ]
    )
    assert TWO_TREES.select(tree, METER, RNG) == [Expansion(5, n=2), Expansion(8, n=2)]


def test_fewer_distinct_first_steps_make_fewer_subtrees_with_larger_shares() -> None:
    twice: list[Event] = [
        expanded(
            ROOT,
            step("a"),
            step("a"),
            step("b"),
            step("b"),
            step("b", answer=""),
            step("c", answer=""),
        ),
        judged(1, 2.0),
    ]
    assert make(Dvts, num_samples=6, beam_width=3).select(tree_of(twice), METER, RNG) == [
        Expansion(1, n=3),
        Expansion(2, n=3),
    ]


def test_a_subtree_that_ended_does_not_pass_its_samples_on() -> None:
    events: list[Event] = [
        *FOUR,
        *EVIDENCE,
        expanded(2, step("e", answer="1"), step("f")),
        expanded(4, step("g"), step("h")),
    ]
    tree = tree_of([*events, judged(5, 3.0), judged(6, 2.0), judged(7, 1.0), judged(8, 2.0)])
    assert TWO_TREES.select(tree, METER, RNG) == [Expansion(8, n=2)]


def test_a_subtree_goes_past_an_end_that_is_not_its_best_step() -> None:
    events: list[Event] = [
        *FOUR,
        *EVIDENCE,
        expanded(2, step("e", answer="1"), step("f")),
        expanded(4, step("g"), step("h")),
    ]
    tree = tree_of([*events, judged(5, -3.0), judged(6, 2.0), judged(7, 1.0), judged(8, 2.0)])
    assert TWO_TREES.select(tree, METER, RNG) == [Expansion(6, n=2), Expansion(8, n=2)]


def test_a_subtree_without_a_way_on_is_left() -> None:
    cut: list[Event] = [
        *FOUR,
        *EVIDENCE,
        expanded(2, step("e", answer=""), step("f", answer="")),
        expanded(4, step("g"), step("h")),
    ]
    assert TWO_TREES.select(tree_of([*cut, judged(7, 1.0), judged(8, 2.0)]), METER, RNG) == [
        Expansion(8, n=2)
    ]


def test_a_seed_that_cannot_be_continued_makes_room_for_the_next_best() -> None:
    closed: list[Event] = [*FOUR, *EVIDENCE, Failed(2, "context_length")]
    assert TWO_TREES.select(tree_of(closed), METER, RNG) == [Expansion(4, n=2), Expansion(1, n=2)]


def test_samples_that_the_budget_did_not_grant_are_asked_for_again() -> None:
    events: list[Event] = [
        *FOUR,
        *EVIDENCE,
        expanded(2, step("e")),
        expanded(4, step("g"), step("h")),
    ]
    assert TWO_TREES.select(tree_of(events), METER, RNG) == [Expansion(2, n=1)]


def test_every_answer_that_was_found_is_put_to_the_choice() -> None:
    """Two subtrees that ended at 1 and 2, and an answer 2 that was no subtree's best
    step.
    """
    events: list[Event] = [
        *FOUR,
        *EVIDENCE,
        expanded(2, step("e", answer="1"), step("f", answer="2")),
        expanded(4, step("g", answer="2"), step("h")),
        *(judged(node, evidence) for node, evidence in ((5, 0.5), (6, 0.4), (7, 0.3), (8, -9.0))),
    ]
    dvts = make(Dvts, num_samples=4, beam_width=2, selector=Selector("majority"))
    assert dvts.select(tree_of(events), METER, RNG) == []
    chosen = dvts.choose(tree_of(events))
    assert chosen is not None and tree_of(events).step(chosen).answer == "2"


def test_paths_of_the_greatest_length_are_written_through() -> None:
    dvts = make(Dvts, num_samples=4, beam_width=2, max_depth=1)
    assert dvts.select(tree_of([*FOUR, *EVIDENCE]), METER, RNG) == [
        Expansion(2, n=2, horizon="answer"),
        Expansion(4, n=2, horizon="answer"),
    ]
    through = [
        Expanded(node, ((step(f"{node}x"), step(f"{node}y", answer="1")),) * 2, "answer")
        for node in (2, 4)
    ]
    assert dvts.select(tree_of([*FOUR, *EVIDENCE, *through]), METER, RNG) == []


def test_the_cost_is_that_of_beam_search() -> None:
    search = simulate(
        make(Dvts, num_samples=16, beam_width=4), World(depth=4, continuations=50, ability=0.0)
    )
    assert search.samples == 16 * 5


def test_every_answer_stands_below_another_first_step() -> None:
    """What the search is for: with as many subtrees as first steps, no first step is
    lost, whatever the critic thinks.
    """
    for seed in range(10):
        search = simulate(
            make(Dvts, num_samples=16, beam_width=4),
            World(seed, continuations=4, ability=-1.0),
            seed=seed,
        )
        assert {search.tree.path(leaf)[0] for leaf in search.tree.answer_leaves()} == set(
            search.tree.children[ROOT]
        )
