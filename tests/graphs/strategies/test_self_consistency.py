"""Self-consistency that stops when the vote is decided."""

from __future__ import annotations

import random

import numpy as np
import pytest

from agents.types import Budget, Meter
from configs import compose
from configs.schema import SelfConsistencyConfig
from graphs.strategies import BestOfN, SelfConsistency
from graphs.strategies.answers.self_consistency import probability_ahead
from graphs.strategies.build import build_strategy
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Expanded, Expansion
from tests.graphs.strategies.make import make
from tests.graphs.strategies.trees import expanded, step, tree_of
from tests.graphs.strategies.world import World, simulate

METER = Meter(Budget())
RNG = random.Random(0)


def asked(strategy: SelfConsistency, *answers: str | None) -> int:
    """Returns how many further samples are asked for after these; None is a sample that
    was cut off.
    """
    steps = [
        step(f"{number}", answer=answer, cut=answer is None)
        for number, answer in enumerate(answers)
    ]
    return sum(
        expansion.n for expansion in strategy.select(tree_of([expanded(ROOT, *steps)]), METER, RNG)
    )


@pytest.mark.parametrize("first", range(0, 12, 2))
@pytest.mark.parametrize("second", range(0, 12, 3))
def test_the_rule_is_the_integral_of_the_beta_density_above_one_half(
    first: int, second: int
) -> None:
    share = (np.arange(200_000) + 0.5) / 200_000
    density = share**first * (1 - share) ** second
    assert probability_ahead(first, second) == pytest.approx(
        density[share > 0.5].sum() / density.sum(), abs=1e-6
    )


def test_the_rule_holds_for_many_votes() -> None:
    assert probability_ahead(4, 0) == 1 - 2**-5
    assert (
        probability_ahead(600, 600) == pytest.approx(0.5)
        and 0.999 < probability_ahead(600, 400) <= 1.0
    )


def test_samples_whole_answers_in_batches() -> None:
    strategy = make(SelfConsistency, num_samples=6, batch_size=4, temperature=0.7)
    assert strategy.select(tree_of([]), METER, RNG) == [
        Expansion(ROOT, n=4, horizon="answer", temperature=0.7, allow_backtracking=True)
    ]
    assert asked(strategy, "1", "2", "1", "2") == 2


def test_unanimous_answers_stop_it_early_and_others_do_not() -> None:
    strategy = make(SelfConsistency, num_samples=16, batch_size=4)
    assert asked(strategy, "7", "7", "7", "7") == 0
    assert asked(strategy, "7", "7", "7") == 4, "0.9375"
    assert asked(strategy, "7", "7", "7", "8") == 4
    assert asked(strategy, *"77777778") == 0


def test_only_the_two_leading_answers_are_compared() -> None:
    votes = "1" * 8 + "2" * 2
    assert (
        asked(make(SelfConsistency, num_samples=40), *votes)
        == asked(make(SelfConsistency, num_samples=40), *votes, *"3344")
        == 0
    )


def test_cut_samples_and_empty_answers_have_no_vote() -> None:
    strategy = make(SelfConsistency, num_samples=16)
    assert asked(strategy, None, None, None, None) == 4
    assert asked(strategy, "", "", "", "") == 4
    assert asked(strategy, "7", "7", "7", "", None) == 4
    assert asked(strategy, "7", "7", "7", "7", "", None) == 0


def test_votes_count_canonical_answers_as_often_as_sampled() -> None:
    strategy = make(
        SelfConsistency,
        num_samples=16,
        selector=Selector("majority", canonical=lambda answer: str(float(answer))),
    )
    assert asked(strategy, "7", "7.0", "7.00", "07") == 0
    tree = tree_of([expanded(ROOT, *[step("same", answer="7")] * 4)])
    assert len(tree) == 2 and make(SelfConsistency, num_samples=16).select(tree, METER, RNG) == []


@pytest.mark.parametrize("batch_size", [1, 3, 4, 16])
def test_never_asks_for_more_than_it_may(batch_size: int) -> None:
    for seed in range(20):
        search = simulate(
            make(SelfConsistency, num_samples=10, batch_size=batch_size),
            World(seed, ability=0.0),
            seed=seed,
        )
        assert search.samples <= 10
        assert search.tree.samples[ROOT] == search.samples


def test_saves_samples_and_keeps_the_answers() -> None:
    """With a policy that is often right it uses less than two thirds of sixteen samples
    and returns the answer of the full vote.
    """
    full, early = make(BestOfN, 16), make(SelfConsistency, num_samples=16)
    questions, kept, seen = 100, 0, 0
    for seed in range(questions):
        search = simulate(full, World(seed, depth=2, ability=4.0), seed=seed)
        (event,) = [event for event in search.events if isinstance(event, Expanded)]
        for size in range(4, 17, 4):
            tree = tree_of([Expanded(ROOT, event.chains[:size], "answer")])
            if not early.select(tree, METER, RNG):
                break
        leaf = early.choose(tree)
        kept += leaf is not None and tree.step(leaf).answer == search.answer
        seen += size
    assert kept >= 0.97 * questions and seen < 16 * questions * 2 / 3


def test_the_options_make_a_majority_vote_that_needs_no_critic() -> None:
    strategy = build_strategy(
        compose(["search=self_consistency", "search.batch_size=2", "critic=none"]), str.upper
    )
    assert isinstance(strategy, SelfConsistency) and strategy.config == SelfConsistencyConfig(
        num_samples=16, batch_size=2
    )
    assert strategy.selector == Selector("majority", canonical=str.upper)
