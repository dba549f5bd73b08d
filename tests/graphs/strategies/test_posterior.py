"""Posterior search: where it samples, how far, which steps it judges, and when it
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


def test_samples_that_agree_need_no_verdict() -> None:
    agreed = tree_of([chains("4", "4", "4", "4")])
    search = make(Posterior, confidence=0.9, belief_model=PLAIN)
    assert search.to_judge(agreed, range(1, len(agreed))) == [] and wanted(search, agreed) == []
    split = tree_of([chains("4", "5", "6", "7")])
    assert search.to_judge(split, range(1, len(split))), (
        "where no samples agree, the critic is asked"
    )


def test_no_step_is_judged_twice_or_below_a_wrong_step() -> None:
    search = make(Posterior, belief_model=PLAIN)
    tree = tree_of([chains("4", "5"), judged(1, -9.0), judged(4, 0.1)])
    asked = search.to_judge(tree, range(1, 7))
    assert asked and set(asked) <= {5, 6}


def test_a_step_of_high_policy_probability_is_not_judged() -> None:
    chain = (
        step("sure", logprob=-0.0001),
        step("unsure", logprob=-0.5),
        step("end", answer="4", logprob=-0.0001),
    )
    tree = tree_of([Expanded(ROOT, (chain,), "answer")])
    assert make(Posterior, belief_model=assuming(right_rate=0.9)).to_judge(tree, [1, 2, 3]) == [2]


def test_samples_below_correct_nodes_and_from_the_root_without_any() -> None:
    search = make(Posterior, batch_size=1, belief_model=PLAIN)
    events: list[Event] = [Expanded(ROOT, ((step("a"), step("b"), step("c", cut=True)),), "answer")]
    correct = tree_of([*events, judged(1, 4.0), judged(2, 4.0)])
    assert [expansion.node for expansion in wanted(search, correct)] == [2]
    incorrect = tree_of([*events, judged(1, -4.0), judged(2, 4.0)])
    assert [expansion.node for expansion in wanted(search, incorrect)] == [ROOT]


def test_a_node_whose_samples_all_failed_is_left_for_another() -> None:
    """Two first steps that are probably correct; six samples below one are wrong."""
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 3.0), judged(2, 3.0)]
    search = make(Posterior, num_samples=64, batch_size=1, belief_model=PLAIN)
    failures = [step(f"wrong {i}") for i in range(6)]
    tree = tree_of([*events, expanded(1, *failures), *(judged(3 + i, -4.0) for i in range(6))])
    assert [expansion.node for expansion in wanted(search, tree)] == [2]


def test_a_node_is_not_sampled_where_the_likely_step_failed() -> None:
    """Two first steps that are probably correct. Below one, a likely step of the policy
    is wrong; below the other, an unlikely one.
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


def test_samples_completions_where_steps_are_right_else_steps() -> None:
    long = tuple(step(f"s{i}") for i in range(9))
    events: list[Event] = [
        Expanded(ROOT, ((*long, step("end", answer="4")), (step("x"),)), "answer")
    ]
    search = make(Posterior, batch_size=1, confidence=0.999, step_cost=2.0, belief_model=PLAIN)
    good = tree_of([*events, *(judged(node, 3.0) for node in range(1, 10)), judged(10, -0.1)])
    bad = tree_of([*events, *(judged(node, -3.0) for node in range(1, 11))])
    assert {expansion.horizon for expansion in wanted(search, good)} == {"answer"}
    assert {expansion.horizon for expansion in wanted(search, bad)} == {"step"}


def test_a_batch_is_spread_over_nodes_of_equal_utility() -> None:
    events: list[Event] = [expanded(ROOT, step("a"), step("b")), judged(1, 2.0), judged(2, 2.0)]
    asked = wanted(make(Posterior, batch_size=4, belief_model=PLAIN), tree_of(events))
    assert sum(expansion.n for expansion in asked) == 4 and {1, 2} <= {
        expansion.node for expansion in asked
    }


def test_stops_where_the_expected_gain_is_below_the_cost() -> None:
    tree = tree_of([chains("4", "5"), judged(1, -3.0), judged(4, -3.0)])
    assert wanted(make(Posterior, belief_model=PLAIN), tree)
    assert wanted(make(Posterior, belief_model=PLAIN, worth_tokens=1e6), tree)
    assert wanted(make(Posterior, belief_model=PLAIN, worth_tokens=1e-3), tree) == []


@pytest.mark.parametrize("num_samples", [1, 5, 16])
def test_samples_at_most_num_samples_completions(num_samples: int) -> None:
    """For completions and for single steps; one more completion gives an answer where
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


def test_is_as_accurate_as_beam_search_at_lower_cost() -> None:
    """Value verdicts inverted with probability .15, a policy that solves one sample in
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


def test_beliefs_are_cached_per_search_until_the_next_event() -> None:
    search, discounted = (
        make(Posterior, belief_model=PLAIN),
        make(Posterior, belief_model=assuming(evidence_weight=0.5)),
    )
    tree = tree_of([])
    events: list[Event] = [chains("4", "5"), judged(1, 2.0), judged(4, -1.0)]
    for number, event in enumerate(events, start=1):
        tree.apply([event])
        assert search.infer(tree).answers == PLAIN.infer(tree_of(events[:number])).answers
        assert search.infer(tree) is search.infer(tree)
        assert discounted.infer(tree).answers == discounted.belief_model.infer(tree).answers


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
def test_default_abort_rate_depends_on_backtrack_tokens(words: str, rate: float) -> None:
    built = build_strategy(compose(words.split()))
    posterior = built.hard if isinstance(built, ComputeOptimal) else built
    assert isinstance(posterior, Posterior) and posterior.belief_model.abort_rate == rate
