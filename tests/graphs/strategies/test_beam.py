"""Beam search and its lookahead."""

from __future__ import annotations

import random

from agents.types import Budget, Meter
from graphs.strategies import Beam
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, expansions, judged, step, tree_of
from tests.graphs.strategies.world import World, simulate

METER = Meter(Budget())
RNG = random.Random(0)
FOUR = [expanded(ROOT, step("a"), step("b"), step("c"), step("d"))]
EVIDENCE = [judged(1, 1.0), judged(2, 3.0), judged(3, -1.0), judged(4, 2.0)]


def test_keeps_the_best_and_asks_each_for_its_share() -> None:
    beam = make(Beam, num_samples=4, beam_width=2)
    assert beam.select(tree_of([]), METER, RNG) == [Expansion(ROOT, n=4)]
    assert beam.select(tree_of([*FOUR, *EVIDENCE]), METER, RNG) == [
        Expansion(2, n=2),
        Expansion(4, n=2),
    ]


def test_samples_that_the_budget_did_not_grant_are_asked_for_again() -> None:
    beam = make(Beam, num_samples=4, beam_width=2)
    assert beam.select(tree_of([expanded(ROOT, step("a"), step("b"))]), METER, RNG) == [
        Expansion(ROOT, n=2)
    ]
    events: list[Event] = [*FOUR, *EVIDENCE, expanded(2, step("e"))]
    assert beam.select(tree_of(events), METER, RNG) == [Expansion(2, n=1), Expansion(4, n=2)]


def test_equal_steps_are_one_candidate() -> None:
    tree = tree_of(
        [expanded(ROOT, step("a"), step("a"), step("a"), step("b")), judged(1, 2.0), judged(2, 1.0)]
    )
    assert len(tree) == 3
    assert make(Beam, num_samples=4, beam_width=2).select(tree, METER, RNG) == [
        Expansion(1, n=2),
        Expansion(2, n=2),
    ]


def test_a_path_that_ended_makes_the_beam_narrower() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a"), step("b"), step("c"), step("d", answer="4")),
        *EVIDENCE,
    ]
    assert make(Beam, num_samples=4, beam_width=2).select(tree_of(events), METER, RNG) == [
        Expansion(2, n=2)
    ]
    assert make(Beam, num_samples=4, beam_width=1).select(tree_of(events), METER, RNG) == [
        Expansion(2, n=4)
    ], "it ended, but was not kept"


def test_ends_when_every_kept_path_has() -> None:
    tree = tree_of(
        [
            expanded(ROOT, step("a", answer="1"), step("b", answer="2")),
            judged(1, 1.0),
            judged(2, 2.0),
        ]
    )
    beam = make(Beam, num_samples=2, beam_width=2)
    assert beam.select(tree, METER, RNG) == [] and beam.choose(tree) == 2


def test_ends_without_an_answer_take_no_place() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a", answer=""), step("b", answer=""), step("c")),
        judged(2, 5.0),
        judged(3, -2.0),
    ]
    assert make(Beam, num_samples=3, beam_width=1).select(tree_of(events), METER, RNG) == [
        Expansion(3, n=3)
    ]


def test_the_policys_opinion_breaks_the_tie_when_told_to() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a", logprob=-5.0), step("b", logprob=-0.1)),
        judged(1, 1.5),
        judged(2, 1.0),
    ]
    plain, mixed = (
        make(Beam, num_samples=2, beam_width=1, selector=Selector("best", logprob_weight=beta))
        for beta in (0.0, 0.5)
    )
    assert [
        expansions(plain.select(tree_of(events), METER, RNG))[0].node,
        expansions(mixed.select(tree_of(events), METER, RNG))[0].node,
    ] == [1, 2]


def test_paths_of_the_greatest_length_are_written_through() -> None:
    beam = make(Beam, num_samples=4, beam_width=2, max_depth=1)
    assert beam.select(tree_of([*FOUR, *EVIDENCE]), METER, RNG) == [
        Expansion(2, n=2, horizon="answer"),
        Expansion(4, n=2, horizon="answer"),
    ]
    through = [
        Expanded(node, ((step(f"{node}x"), step(f"{node}y", answer="1")),) * 2, "answer")
        for node in (2, 4)
    ]
    assert beam.select(tree_of([*FOUR, *EVIDENCE, *through]), METER, RNG) == []


def test_lookahead_ranks_by_greedy_continuations_and_keeps_their_steps() -> None:
    beam = make(Beam, num_samples=2, beam_width=1, lookahead=1)
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 3.0), judged(2, 1.0)]
    assert beam.select(tree_of(events), METER, RNG) == [
        Expansion(1, temperature=0.0),
        Expansion(2, temperature=0.0),
    ]
    events += [
        expanded(1, step("c", temperature=0.0)),
        expanded(2, step("d", temperature=0.0)),
        judged(3, -4.0),
        judged(4, 2.0),
    ]
    assert beam.select(tree_of(events), METER, RNG) == [Expansion(2, n=1)], (
        "one of the two next steps is there already"
    )


def test_lookahead_goes_as_far_as_it_is_told_and_no_further() -> None:
    search = simulate(make(Beam, num_samples=4, beam_width=2, lookahead=2), World())
    greedy = [
        expansion
        for requests in search.requests
        for expansion in requests
        if expansion.temperature == 0.0
    ]
    assert greedy and all(expansion.n == 1 for expansion in greedy)
    assert len({expansion.node for expansion in greedy}) == len(greedy), (
        "nobody is asked twice for what greedy decoding gives"
    )


def test_the_cost_is_that_of_the_paper() -> None:
    """N first steps, N next steps per level, and a last level of answers: N x (depth +
    1), less what equal steps save.
    """
    search = simulate(
        make(Beam, num_samples=16, beam_width=4), World(depth=4, continuations=50, ability=0.0)
    )
    assert search.samples == 16 * 5
