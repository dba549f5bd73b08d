"""Posterior search: where it samples, how far, whom it has judged, and when it
stops.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from agents.types import Budget, Meter
from configs import compose
from graphs.strategies import Beam, ComputeOptimal, Posterior
from graphs.strategies.build import build_strategy
from graphs.strategies.posterior.posterior import ABORT_RATE
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion, ReasoningTree
from tests.graphs.strategies.make import assuming, make
from tests.graphs.strategies.trees import expanded, judged, step, tree_of
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate

METER = Meter(Budget())
RNG = random.Random(0)
PLAIN = assuming(logprob_weight=0.0)


def wanted(search: Posterior, tree: ReasoningTree) -> Sequence[Expansion]:
    return [
        expansion
        for expansion in search.select(tree, METER, RNG)
        if isinstance(expansion, Expansion)
    ]


def chains(*answers: str) -> Expanded:
    """Two steps and an answer for each; no two share a step."""
    return Expanded(
        ROOT,
        tuple(
            (step(f"{i}a"), step(f"{i}b"), step(f"{i}c", answer=answer))
            for i, answer in enumerate(answers)
        ),
        "answer",
    )


def test_the_first_samples_go_through_to_the_answer() -> None:
    assert wanted(make(Posterior, first_samples=3), tree_of([])) == [
        Expansion(ROOT, n=3, horizon="answer")
    ]
    assert wanted(make(Posterior, first_samples=3, num_samples=2), tree_of([])) == [
        Expansion(ROOT, n=2, horizon="answer")
    ]


def test_samples_that_agree_are_believed_without_a_verdict() -> None:
    agreed = tree_of([chains("4", "4", "4", "4")])
    search = make(Posterior, confidence=0.9, belief_model=PLAIN)
    assert search.to_judge(agreed, range(1, len(agreed))) == [] and wanted(search, agreed) == []
    split = tree_of([chains("4", "5", "6", "7")])
    assert search.to_judge(split, range(1, len(split))), "where nobody agrees, the critic is asked"


def test_nobody_is_judged_twice_nor_below_a_step_that_is_surely_wrong() -> None:
    search = make(Posterior, belief_model=PLAIN)
    tree = tree_of([chains("4", "5"), judged(1, -9.0), judged(4, 0.1)])
    asked = search.to_judge(tree, range(1, 7))
    assert asked and set(asked) <= {5, 6}


def test_a_step_that_the_policy_was_sure_of_is_not_judged() -> None:
    chain = (
        step("sure", logprob=-0.0001),
        step("unsure", logprob=-0.5),
        step("end", answer="4", logprob=-0.0001),
    )
    tree = tree_of([Expanded(ROOT, (chain,), "answer")])
    assert make(Posterior, belief_model=assuming(right_rate=0.9)).to_judge(tree, [1, 2, 3]) == [2]


def test_goes_on_below_what_is_alive_and_starts_anew_where_nothing_is() -> None:
    search = make(Posterior, batch_size=1, belief_model=PLAIN)
    events: list[Event] = [Expanded(ROOT, ((step("a"), step("b"), step("c", cut=True)),), "answer")]
    alive = tree_of([*events, judged(1, 4.0), judged(2, 4.0)])
    assert [expansion.node for expansion in wanted(search, alive)] == [2]
    dead = tree_of([*events, judged(1, -4.0), judged(2, 4.0)])
    assert [expansion.node for expansion in wanted(search, dead)] == [ROOT]


def test_who_always_failed_is_left_for_somebody_else() -> None:
    """Two alive first steps, one of which was asked six times in vain."""
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 3.0), judged(2, 3.0)]
    search = make(Posterior, num_samples=64, batch_size=1, belief_model=PLAIN)
    failures = [step(f"wrong {i}") for i in range(6)]
    tree = tree_of([*events, expanded(1, *failures), *(judged(3 + i, -4.0) for i in range(6))])
    assert [expansion.node for expansion in wanted(search, tree)] == [2]


def test_what_the_policy_would_only_say_again_is_not_asked_for() -> None:
    """Two alive first steps; below one a step failed that the policy takes almost
    always, below the other one that it takes seldom.
    """
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 3.0), judged(2, 3.0)]
    tried = [
        expanded(1, step("always", logprob=-0.05)),
        judged(3, -4.0),
        expanded(2, step("seldom", logprob=-3.0)),
        judged(4, -4.0),
    ]
    assert [
        expansion.node
        for expansion in wanted(
            make(Posterior, batch_size=1, belief_model=PLAIN), tree_of([*events, *tried])
        )
    ] == [2]


def test_whole_answers_where_steps_are_mostly_right_else_single_steps() -> None:
    long = tuple(step(f"s{i}") for i in range(9))
    events: list[Event] = [
        Expanded(ROOT, ((*long, step("end", answer="4")), (step("x"),)), "answer")
    ]
    search = make(Posterior, batch_size=1, confidence=0.999, step_cost=2.0, belief_model=PLAIN)
    good = tree_of([*events, *(judged(node, 3.0) for node in range(1, 10)), judged(10, -0.1)])
    bad = tree_of([*events, *(judged(node, -3.0) for node in range(1, 11))])
    assert {expansion.horizon for expansion in wanted(search, good)} == {"answer"}
    assert {expansion.horizon for expansion in wanted(search, bad)} == {"step"}


def test_a_batch_is_spread_where_several_nodes_are_worth_it() -> None:
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 2.0), judged(2, 2.0)]
    asked = wanted(make(Posterior, batch_size=4, belief_model=PLAIN), tree_of(events))
    assert sum(expansion.n for expansion in asked) == 4 and {1, 2} <= {
        expansion.node for expansion in asked
    }


def test_stops_where_the_next_samples_are_not_worth_their_tokens() -> None:
    tree = tree_of([chains("4", "5"), judged(1, -3.0), judged(4, -3.0)])
    assert wanted(make(Posterior, belief_model=PLAIN), tree)
    assert wanted(make(Posterior, belief_model=PLAIN, worth_tokens=1e6), tree)
    assert wanted(make(Posterior, belief_model=PLAIN, worth_tokens=1e-3), tree) == []


@pytest.mark.parametrize("num_samples", [1, 5, 16])
def test_never_draws_more_than_so_many_whole_answers(num_samples: int) -> None:
    """Whether it draws them whole or step by step; one more writes an answer where
    there is none.
    """
    for seed, step_cost in itertools.product(range(20), (1.0, 2.0)):
        world = World(seed, ability=0.0)
        search = simulate(
            make(Posterior, num_samples=num_samples, confidence=1.0, step_cost=step_cost),
            world,
            seed=seed,
        )
        assert search.tree.count[1:].sum() <= (num_samples + 1) * (world.depth + 1)


def test_less_than_a_beam_costs_is_enough() -> None:
    """Value verdicts flipped with probability .15, a policy that gets home one time in
    four; the same worlds for both.
    """
    worlds = [
        World(
            seed,
            depth=3,
            ability=4.0,
            spread=3.0,
            wrong_answers=50,
            scope="value",
            tokens_per_verdict=5,
        )
        for seed in range(150)
    ]
    belief_model = assuming(wrong_answers=50.0, logprob_weight=0.0)
    found: dict[str, tuple[float, float]] = {}
    for name, strategy in {
        "beam": make(Beam, num_samples=16, beam_width=4, selector=Selector("weighted_vote")),
        "posterior": make(Posterior, num_samples=8, confidence=0.9, belief_model=belief_model),
    }.items():
        searches = [simulate(strategy, world, seed=world.seed) for world in worlds]
        right = np.mean([search.answer == RIGHT_ANSWER for search in searches])
        found[name] = (
            float(right),
            float(np.mean([search.meter.spent.total.generated_tokens for search in searches])),
        )
    assert (
        found["posterior"][0] >= found["beam"][0]
        and found["posterior"][1] < 0.75 * found["beam"][1]
    ), found


def test_a_belief_is_cached_per_search_until_the_tree_changes() -> None:
    search, doubtful = (
        make(Posterior, belief_model=PLAIN),
        make(Posterior, belief_model=assuming(evidence_weight=0.5)),
    )
    tree = tree_of([])
    events: list[Event] = [chains("4", "5"), judged(1, 2.0), judged(4, -1.0)]
    for number, event in enumerate(events, start=1):
        tree.apply([event])
        assert search.infer(tree).answers == PLAIN.infer(tree_of(events[:number])).answers
        assert search.infer(tree) is search.infer(tree)
        assert doubtful.infer(tree).answers == doubtful.belief_model.infer(tree).answers


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("search=posterior", ABORT_RATE),
        ("search=posterior search.abort_rate=0", 0.0),
        ("search=posterior policy.backtrack_tokens=[]", 0.0),
        ("search=posterior policy.backtrack_tokens=[] search.abort_rate=0.1", 0.1),
        ("search=compute_optimal search.hard=posterior", ABORT_RATE),
        ("search=compute_optimal search.hard=posterior policy.backtrack_tokens=[]", 0.0),
    ],
)
def test_going_on_is_evidence_where_the_policy_doubts(words: str, rate: float) -> None:
    built = build_strategy(compose(words.split()))
    posterior = built.hard if isinstance(built, ComputeOptimal) else built
    assert isinstance(posterior, Posterior) and posterior.belief_model.abort_rate == rate
