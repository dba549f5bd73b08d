"""Compute-optimal search: the probe, and the strategy that goes on."""

from __future__ import annotations

import random

import pytest

from agents.types import Budget, Meter
from configs import compose
from graphs.strategies import Beam, BestOfN, ComputeOptimal, Posterior, Rebase
from graphs.strategies.build import build_strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, Expansion
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import judged, step, tree_of
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate

METER = Meter(Budget())
RNG = random.Random(0)
SEARCH = make(ComputeOptimal, medium=make(BestOfN, 8), hard=make(BestOfN, 32))


def probe(*answers: str) -> list[Event]:
    """One chain for each answer; "" was cut off."""
    chains = tuple(
        (step(f"{i}"), step(f"{i} end", answer=answer) if answer else step(f"{i} cut", cut=True))
        for i, answer in enumerate(answers)
    )
    return [Expanded(ROOT, chains, "answer")]


@pytest.mark.parametrize(
    ("answers", "difficulty", "samples"),
    [
        (("4", "4", " 4", "4"), 0.0, 0),
        (("4", "4", "5", "4"), 0.25, 8 - 4),
        (("4", "5", "6", "7"), 0.75, 32 - 4),
        (("4", "4", "", ""), 0.5, 8 - 4),
        (("", "", "", ""), 1.0, 32 - 4),
    ],
)
def test_agreement_decides_who_goes_on(
    answers: tuple[str, ...], difficulty: float, samples: int
) -> None:
    tree = tree_of(probe(*answers))
    assert SEARCH.difficulty(tree) == pytest.approx(difficulty)
    expected = (
        [Expansion(ROOT, n=samples, horizon="answer", allow_backtracking=True)] if samples else []
    )
    assert SEARCH.select(tree, METER, RNG) == expected


def test_what_comes_after_the_probe_does_not_change_who_searches() -> None:
    """Ten more samples that agree make a question that looked hard no easier."""
    tree = tree_of([*probe("4", "5", "6", "7"), *probe(*["4"] * 10)])
    assert SEARCH.searcher(tree) is SEARCH.hard


def test_the_critic_may_say_how_hard_it_is() -> None:
    search = make(
        ComputeOptimal,
        medium=make(BestOfN, 8),
        hard=make(BestOfN, 32),
        estimate="critic",
        selector=Selector("weighted_vote", "last"),
    )
    events = probe("4", "4", "4", "4")
    assert search.to_judge(tree_of(events), []) == list(range(1, 9))
    sure = tree_of([*events, *(judged(node, 6.0) for node in range(1, 9))])
    unsure = tree_of([*events, *(judged(node, -6.0) for node in range(1, 9))])
    assert search.searcher(sure) is None and search.searcher(unsure) is search.hard


def test_the_searcher_judges_what_the_probe_left() -> None:
    search = make(
        ComputeOptimal,
        medium=make(Beam, num_samples=8, beam_width=2),
        hard=make(Beam, num_samples=8, beam_width=2),
    )
    assert search.to_judge(tree_of(probe("4", "4", "4", "4")), range(1, 9)) == []
    assert search.to_judge(tree_of(probe("4", "4", "4", "5")), range(1, 9)) == list(range(1, 9))


def test_easy_questions_cost_a_probe_and_hard_ones_a_search() -> None:
    search = make(
        ComputeOptimal, medium=make(Posterior), hard=make(Beam, num_samples=16, beam_width=4)
    )
    easy = [simulate(search, World(seed, ability=12.0), seed=seed) for seed in range(20)]
    hard = [simulate(search, World(seed, ability=0.0), seed=seed) for seed in range(20)]
    assert sum(one.samples for one in easy) == 4 * 20 and all(
        one.answer == RIGHT_ANSWER for one in easy
    )
    assert sum(one.samples for one in hard) > 4 * 4 * 20


def test_the_searchers_are_built_from_their_own_options() -> None:
    words = [
        "search=compute_optimal",
        "search.hard=rebase",
        "search.hard_samples=64",
        "search.logprob_weight=0.5",
        "budget.max_depth=7",
    ]
    built = build_strategy(compose(words))
    assert isinstance(built, ComputeOptimal) and built.selector.selection == "majority"
    assert isinstance(built.hard, Rebase) and built.hard.config.num_samples == 64
    assert built.hard.selector.logprob_weight == 0.5 and built.hard.context.max_depth == 7


def test_a_posterior_search_after_the_probe_is_the_posterior_search() -> None:
    """Its `logprob_weight` is another one than that by which a vote is weighed."""
    built, alone = (
        build_strategy(compose(["search=compute_optimal"])),
        build_strategy(compose(["search=posterior"])),
    )
    assert isinstance(built, ComputeOptimal) and built.medium == alone


def test_without_verdicts_agreement_estimates_the_difficulty() -> None:
    search = make(
        ComputeOptimal, medium=make(BestOfN, 8), hard=make(BestOfN, 32), estimate="critic"
    )
    assert (
        search.difficulty(tree_of(probe("4", "5", "6", "7")))
        == SEARCH.difficulty(tree_of(probe("4", "5", "6", "7")))
        == 0.75
    )
