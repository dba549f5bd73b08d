"""Particle filtering, and its resampling."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.types import Budget, Meter, Verdict
from graphs.strategies import BestOfN, Particles
from graphs.strategies.levels.particles import systematic_resample
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion, Failed, Judged
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, judged, step, tree_of
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate
from tests.seeds import seeds

METER = Meter(Budget())
FOUR = make(Particles, num_samples=4)
AABC: list[Event] = [expanded(ROOT, step("a"), step("a"), step("b"), step("c"))]
"""Nodes 1 (two particles), 2 and 3."""
DOUBT = 1.0 / (1.0 + math.e)
"""sigma(-1)."""


def _rng() -> random.Random:
    return random.Random(0)


def _select(strategy: Particles, events: Sequence[Event]) -> list[Expansion]:
    return [
        asked
        for asked in strategy.select(tree_of(events), METER, _rng())
        if isinstance(asked, Expansion)
    ]


def _asked(strategy: Particles, events: Sequence[Event]) -> dict[int, int]:
    """Returns how many next steps each node is asked for."""
    return {expansion.node: expansion.n for expansion in _select(strategy, events)}


def _given(copies: Sequence[int], nodes: Sequence[int]) -> dict[int, int]:
    return {node: n for node, n in zip(nodes, copies, strict=True) if n}


def _drawn_for_step(number: int) -> float:
    """Returns the number that resampling after step `number`, counted from 1, draws."""
    rng = _rng()
    return [rng.random() for _ in range(number)][-1]


def _judged_value(node: int, evidence: float) -> Judged:
    return Judged(
        node,
        Verdict(score=0.5, source="token_critic", scope="value", log_likelihood_ratio=evidence),
    )


def test_every_particle_takes_one_step_per_round() -> None:
    assert _select(FOUR, []) == [Expansion(ROOT, n=4)]
    assert _select(FOUR, AABC) == [Expansion(1, n=2), Expansion(2, n=1), Expansion(3, n=1)]


def test_samples_that_the_budget_did_not_grant_are_asked_for_again() -> None:
    assert _select(FOUR, [expanded(ROOT, step("a"), step("b"))]) == [Expansion(ROOT, n=2)]
    assert _select(FOUR, [*AABC, expanded(1, step("d")), expanded(2, step("e"))]) == [
        Expansion(1, n=1),
        Expansion(3, n=1),
    ]


def test_even_weights_are_left_alone_and_uneven_ones_resampled() -> None:
    even: list[Event] = [*AABC, *(judged(node, 2.0) for node in (1, 2, 3))]
    assert _select(FOUR, even) == [Expansion(1, n=2), Expansion(2, n=1), Expansion(3, n=1)]
    assert _select(make(Particles, num_samples=4, ess_threshold=1.0), even) == _select(FOUR, even)
    one_is_right: list[Event] = [*AABC, judged(1, -20.0), judged(2, -20.0), judged(3, 20.0)]
    assert _select(FOUR, one_is_right) == [Expansion(3, n=4)]
    assert _select(make(Particles, num_samples=4, ess_threshold=0.0), one_is_right) == [
        Expansion(3, n=1),
        Expansion(1, n=2),
        Expansion(2, n=1),
    ]


def test_the_threshold_is_a_share_of_the_effective_sample_size() -> None:
    """Weights 1, 1, .27 and .27, as sigma(-1) = .27: ESS = 2.54^2 / 2.14 = 3.0 of 4."""
    events: list[Event] = [*AABC, judged(1, 20.0), judged(2, -1.0), judged(3, -1.0)]
    copies = systematic_resample([2.0, DOUBT, DOUBT], 4, _drawn_for_step(1)).tolist()
    assert copies != [2, 1, 1]
    assert _asked(make(Particles, num_samples=4, ess_threshold=0.74), events) == {1: 2, 2: 1, 3: 1}
    assert _asked(make(Particles, num_samples=4, ess_threshold=0.76), events) == _given(
        copies, (1, 2, 3)
    )


def test_weights_gather_until_they_are_resampled() -> None:
    """One step in doubt is not enough, two are; each step draws its own number, also
    where it does not resample.
    """
    particles = make(Particles, num_samples=4, ess_threshold=0.7)
    events: list[Event] = [
        expanded(ROOT, step("a"), step("a"), step("b"), step("b")),
        judged(1, 20.0),
        judged(2, -1.0),
    ]
    assert _asked(particles, events) == {1: 2, 2: 2}
    events += [
        expanded(1, step("c"), step("c")),
        expanded(2, step("d"), step("d")),
        judged(3, 20.0),
        judged(4, -1.0),
    ]
    copies = systematic_resample([2.0, 2.0 * DOUBT**2], 4, _drawn_for_step(2)).tolist()
    assert copies != [2, 2]
    assert _asked(particles, events) == _given(copies, (3, 4))


def test_after_resampling_all_weights_are_equal() -> None:
    """The doubt in the first steps was settled by resampling; of the second ones none
    is better than another.
    """
    particles = make(Particles, num_samples=4, ess_threshold=1.0)
    events: list[Event] = [*AABC, judged(1, -20.0), judged(2, -1.0), judged(3, 0.0)]
    resampled = _asked(particles, events)
    assert set(resampled) == {2, 3}
    events += [
        expanded(node, *(step(f"{node}{index}") for index in range(n)))
        for node, n in resampled.items()
    ]
    events += [judged(node, 3.0) for node in range(4, 8)]
    assert _asked(particles, events) == dict.fromkeys(range(4, 8), 1)


def test_verdicts_of_value_scope_count_once() -> None:
    """Of value scope the last verdict speaks for the path, of local scope each for its
    step.
    """
    steps: list[Event] = [
        expanded(ROOT, step("a"), step("b")),
        expanded(1, step("c", answer="1")),
        expanded(2, step("d", answer="2")),
    ]
    evidence = {1: -3.0, 2: 3.0, 3: 1.0, 4: 0.9}
    two = make(Particles, num_samples=2)
    assert (
        two.choose(tree_of([*steps, *(_judged_value(node, llr) for node, llr in evidence.items())]))
        == 3
    )
    assert (
        two.choose(tree_of([*steps, *(judged(node, llr) for node, llr in evidence.items())])) == 4
    )


def test_the_policys_opinion_counts_when_told_to() -> None:
    likely: list[Event] = [
        expanded(
            ROOT,
            step("a", logprob=-9.0),
            step("b", logprob=-0.1),
            step("c", logprob=-9.0),
            step("d", logprob=-9.0),
        )
    ]
    assert _select(FOUR, likely) == [Expansion(node, n=1) for node in range(1, 5)]
    assert _select(
        make(Particles, num_samples=4, selector=Selector(logprob_weight=1.0)), likely
    ) == [Expansion(2, n=4)]


def test_finished_particles_use_no_more_samples() -> None:
    ended: list[Event] = [
        expanded(ROOT, step("a", answer="1"), step("b"), step("b"), step("c", answer="2"))
    ]
    assert _select(FOUR, ended) == [Expansion(2, n=2)]


def test_finished_particles_are_resampled_with_the_others() -> None:
    ended: list[Event] = [expanded(ROOT, step("a", answer="1"), step("b"), step("b"), step("b"))]
    assert _select(FOUR, [*ended, judged(1, 20.0), judged(2, -20.0)]) == [], (
        "a good end takes all places"
    )
    poor = [
        expanded(
            ROOT, step("a", answer="1"), step("a", answer="1"), step("a", answer="1"), step("b")
        )
    ]
    assert _select(FOUR, [*poor, judged(1, -20.0), judged(2, 20.0)]) == [Expansion(2, n=4)], (
        "a poor one gives its places away"
    )


def test_steps_that_lead_nowhere_weigh_nothing() -> None:
    incorrect: list[Event] = [
        expanded(ROOT, step("a", answer=""), step("b", answer=""), step("c", answer=""), step("d"))
    ]
    assert _select(FOUR, incorrect) == [Expansion(4, n=4)]
    assert _select(make(Particles, num_samples=4, ess_threshold=0.0), incorrect) == [
        Expansion(4, n=1)
    ]


def test_particles_of_a_closed_node_are_dropped_and_replaced() -> None:
    closed: list[Event] = [*AABC, Failed(1, "context_length")]
    assert _select(FOUR, closed) == [Expansion(2, n=1), Expansion(3, n=1)], (
        "the others take their step first"
    )
    closed += [expanded(2, step("d")), expanded(3, step("e"))]
    assert _select(make(Particles, num_samples=4, ess_threshold=0.6), closed) == [
        Expansion(4, n=2),
        Expansion(5, n=2),
    ]


def test_samples_beyond_the_particles_are_passed_over() -> None:
    """As where the budget ended and an answer was written from the node."""
    assert _select(
        make(Particles, num_samples=2), [expanded(ROOT, step("a"), step("b"), step("c"))]
    ) == [
        Expansion(1, n=1),
        Expansion(2, n=1),
    ]


def test_where_all_particles_are_lost_the_best_node_is_written_through() -> None:
    lost: list[Event] = [*AABC, judged(1, 1.0), judged(2, 2.0), judged(3, 1.0)]
    lost += [
        expanded(node, *(step(f"{node}{index}", answer="") for index in range(n)))
        for node, n in ((1, 2), (2, 1), (3, 1))
    ]
    assert _select(FOUR, lost) == [
        Expansion(2, horizon="answer", temperature=0.0, allow_backtracking=True)
    ]


def test_paths_of_the_greatest_length_are_written_through() -> None:
    last = make(Particles, num_samples=4, max_depth=1)
    assert _select(last, AABC) == [
        Expansion(node, n=n, horizon="answer") for node, n in ((1, 2), (2, 1), (3, 1))
    ]
    through = [
        Expanded(node, ((step(f"{node}x"), step(f"{node}y", answer="1")),) * n, "answer")
        for node, n in ((1, 2), (2, 1), (3, 1))
    ]
    assert _select(last, [*AABC, *through]) == []


@pytest.mark.parametrize("times", [1, 2, 16])
def test_the_vote_is_independent_of_the_tries_after_resampling(times: int) -> None:
    """Of two equally likely first steps, the one with less evidence was tried as often
    or oftener; its answer gets no more votes by that.
    """
    events: list[Event] = [
        expanded(ROOT, step("a"), step("b")),
        expanded(1, *[step("c", answer="1")] * times),
        expanded(2, step("d", answer="2")),
        *(judged(node, evidence) for node, evidence in ((1, 0.0), (2, 0.5), (3, 1.0), (4, 1.0))),
    ]
    assert make(Particles, num_samples=2).choose(tree_of(events)) == 4


@pytest.mark.parametrize(
    ("first", "second", "chosen"), [(3.0, -5.0, 3), (3.0, -1.0, 4), (-3.0, -1.0, 5)]
)
def test_the_vote_adds_up_share_times_evidence(first: float, second: float, chosen: int) -> None:
    """Half of the samples went to a, and on to the answers 1, 1 and 2; half to b, and
    on to 2.
    """
    events: list[Event] = [
        expanded(ROOT, step("a"), step("b")),
        expanded(1, step("c", answer="1"), step("c", answer="1"), step("d", answer=" 2 ")),
        expanded(2, step("e", answer="2")),
    ]
    evidence = {1: first, 2: second, 3: 0.7, 4: 2.0, 5: 1.5}
    right = {node: 1.0 / (1.0 + math.exp(-llr)) for node, llr in evidence.items()}
    weights = {
        3: 1 / 2 * 2 / 3 * right[1] * right[3],
        4: 1 / 2 * 1 / 3 * right[1] * right[4],
        5: 1 / 2 * right[2] * right[5],
    }
    assert chosen == (
        3 if weights[3] > weights[4] + weights[5] else 4 if weights[4] > weights[5] else 5
    )
    assert (
        make(Particles, num_samples=4).choose(
            tree_of([*events, *(judged(node, llr) for node, llr in evidence.items())])
        )
        == chosen
    )


def test_other_choices_are_the_selectors() -> None:
    events: list[Event] = [
        expanded(ROOT, step("a", answer="1"), step("a", answer="1"), step("b", answer="2"))
    ]
    tree = tree_of([*events, judged(1, -1.0), judged(2, 3.0)])
    assert [
        make(Particles, num_samples=3, selector=Selector(selection)).choose(tree)
        for selection in ("majority", "best")
    ] == [1, 2]
    assert FOUR.choose(tree_of([])) is None


def test_beats_majority_with_a_critic_that_knows_something_and_only_then() -> None:
    """At one cost, in samples of steps: 16 whole thoughts, or 16 particles."""

    def right(flip_rate: float) -> tuple[int, int]:
        worlds = [World(seed, ability=2.0, flip_rate=flip_rate) for seed in range(100)]
        strategies = make(BestOfN, 16, Selector("majority")), make(Particles, num_samples=16)
        first, second = (
            sum(simulate(each, world, seed=world.seed).answer == RIGHT_ANSWER for world in worlds)
            for each in strategies
        )
        return first, second

    majority, filtered = right(flip_rate=0.15)
    assert filtered > majority + 2 * math.sqrt(majority + filtered)
    majority, filtered = right(flip_rate=0.5)
    assert abs(filtered - majority) <= 2 * math.sqrt(majority + filtered)


def test_the_cost_is_that_of_sampling_whole_thoughts() -> None:
    assert simulate(make(Particles, num_samples=16), World(depth=4)).samples == 16 * 5


weights = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).filter(
    lambda each: max(each) > 1e-6
)
draws = st.floats(0.0, 1.0, exclude_max=True)
sizes = st.integers(1, 64)


@given(weights, sizes, draws)
def test_systematic_resampling_rounds_every_share_down_or_up(
    shares: list[float], n: int, uniform: float
) -> None:
    copies = systematic_resample(shares, n, uniform).tolist()
    assert sum(copies) == n
    for weight, got in zip(shares, copies, strict=True):
        share = n * weight / sum(shares)
        assert math.floor(share - 1e-9) <= got <= math.ceil(share + 1e-9)


@seeds(30, first=6)
def test_systematic_resampling_counts_the_positions_in_each_share(seed: int) -> None:
    rng = random.Random(seed)
    shares, n, uniform = (
        [rng.choice([0.0, rng.random()]) for _ in range(8)] + [rng.random()],
        rng.randint(1, 40),
        rng.random(),
    )
    expected = [0] * len(shares)
    for i in range(n):
        position, index = (uniform + i) / n * sum(shares), 0
        while position >= shares[index]:
            position -= shares[index]
            index += 1
        expected[index] += 1
    assert systematic_resample(shares, n, uniform).tolist() == expected


def test_systematic_resampling_is_fair_on_average() -> None:
    shares, n, times = [0.05, 0.3, 0.0, 0.65], 7, 2000
    copies = [systematic_resample(shares, n, (time + 0.5) / times) for time in range(times)]
    for index, share in enumerate(shares):
        assert sum(each[index] for each in copies) / times == pytest.approx(
            n * share, abs=2 / times
        )
