"""Closure, what it is compared with, and its hierarchical bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphs.evaluation.search_comparison.closure import (
    bases_for,
    closure,
    difference,
    reaches,
    resampled,
)
from graphs.evaluation.search_comparison.measure import (
    DERIVATION,
    Key,
    Measured,
    QuestionResult,
    Table,
)
from graphs.evaluation.search_comparison.noise_sweep import noise_sweep
from graphs.evaluation.siblings import SiblingPairs

Q = 200
STRATA = np.repeat([0, 1], Q // 2)
DRAWN = resampled(STRATA)


def constant(share: float, flops: float = 1.0, *, seed: int = 0) -> np.ndarray:
    """Returns outcomes in which this share of each family's questions, drawn by `seed`,
    is right.
    """
    right = np.concatenate(
        [
            np.random.default_rng((seed, family)).permutation(Q // 2) < share * Q / 2
            for family in (0, 1)
        ]
    )
    return np.stack([right, right, np.full(Q, flops), np.full(Q, 2 * flops)], axis=1).astype(float)


def table(**values: tuple[str, int, np.ndarray]) -> Table:
    """Returns a table; each value is (critic, N, outcomes), its name the method and,
    behind two underscores, anything.
    """
    return Table(
        STRATA,
        {
            Key(name.split("__")[0], n, critic): outcomes
            for name, (critic, n, outcomes) in values.items()
        },
        {},
        {},
    )


BASIC = {
    "greedy": ("none", 1, constant(0.3)),
    "majority": ("none", 16, constant(0.4, 10.0, seed=1)),
    "derivation": ("good", 16, constant(0.9, seed=2)),
    "beam": ("good", 16, constant(0.65, 20.0, seed=3)),
}
BEAM = Key("beam", 16, "good")


def test_closure_is_the_share_of_the_gap_that_is_closed() -> None:
    found = closure(table(**BASIC), BEAM, ["good"], DRAWN)
    assert found is not None
    assert found.closure.value == pytest.approx(0.5) and found.base_method == Key(
        "majority", 16, "none"
    )
    assert 0.2 < found.closure.low < 0.5 < found.closure.high < 0.8


def test_of_the_ceiling_it_is_1_and_of_the_base_0() -> None:
    for outcomes, value in ((BASIC["derivation"][2], 1.0), (BASIC["majority"][2], 0.0)):
        found = closure(table(**BASIC | {"beam": ("good", 16, outcomes)}), BEAM, ["good"], DRAWN)
        assert found is not None and found.closure.value == pytest.approx(value)
    assert found is not None and found.closure.high <= 0.0, (
        "the best of the bases is taken again in every resample"
    )


def test_a_base_may_use_the_budget_and_as_many_flops_as_the_method() -> None:
    more = {
        "majority__64": ("none", 64, constant(0.5, 20.0)),
        "logprob_vote": ("none", 128, constant(0.6, 20.1)),
        "logprob_beam": ("none", 16, constant(0.4, 99.0)),
        "weighted_vote": ("good", 16, constant(0.6, 1.0)),
    }
    assert [(key.method, key.n) for key in bases_for(table(**BASIC | more), BEAM)] == [
        ("greedy", 1),
        ("majority", 16),
        ("majority", 64),
        ("logprob_beam", 16),
    ]


def test_training_seeds_are_averaged_and_their_spread_widens_the_interval() -> None:
    one = closure(table(**BASIC), BEAM, ["good", "good.2"], DRAWN)
    seeds = {
        "beam": ("good", 16, constant(0.5, seed=3)),
        "beam__2": ("good.2", 16, constant(0.8, seed=3)),
    }
    two = closure(table(**BASIC | seeds), BEAM, ["good", "good.2"], DRAWN)
    assert one is not None and two is not None and (one.critics, two.critics) == (1, 2)
    assert two.accuracy == pytest.approx(0.65)
    assert two.closure.high - two.closure.low > 1.5 * (one.closure.high - one.closure.low)


def test_without_a_gap_there_is_no_closure() -> None:
    found = closure(
        table(**BASIC | {"derivation": ("good", 16, constant(0.4, seed=1))}), BEAM, ["good"], DRAWN
    )
    assert found is not None and math.isnan(found.closure.value)
    assert (
        closure(
            table(**{name: value for name, value in BASIC.items() if name != "derivation"}),
            BEAM,
            ["good"],
            DRAWN,
        )
        is None
    )


def test_every_resample_keeps_the_families_sizes() -> None:
    assert DRAWN.sum(axis=1) == pytest.approx(np.ones(len(DRAWN)))
    assert DRAWN[:, : Q // 2].sum(axis=1) == pytest.approx(np.full(len(DRAWN), 0.5))
    assert (resampled(STRATA) == DRAWN).all()


def test_a_paired_difference_of_equal_methods_is_certain() -> None:
    assert difference(table(**BASIC), BEAM, BEAM, DRAWN) == (0.0, 0.0, 0.0)


def test_the_cheapest_budget_that_reaches_the_vote_counts_if_any_does() -> None:
    beams = {
        f"beam__{n}": ("good", n, constant(share, flops))
        for n, share, flops in ((4, 0.5, 7.0), (16, 0.65, 20.0), (64, 0.7, 80.0))
    }
    found = table(
        **beams,
        weighted_vote=("good", 64, constant(0.6, 140.0)),
        majority=("none", 64, constant(0.5, 10.0)),
    )
    target = Key("weighted_vote", 64, "good")
    reached = reaches(found, [key for key in found.values if key.method == "beam"], target)
    assert reached is not None and reached.method.n == 16
    assert reached.share == pytest.approx(1 / 7)
    assert reaches(found, [Key("majority", 64, "none")], target) is None


def test_every_critic_has_its_accuracy_and_its_gain_over_the_best_base() -> None:
    values = table(**BASIC, beam__0=("oracle0.1", 16, constant(0.8))).values
    siblings = {
        "oracle0.1": SiblingPairs(100, 90.0),
        "good": SiblingPairs(100, 70.0, 10, 2.0),
        "random": SiblingPairs(100, 50.0),
    }
    oracle, good, random = noise_sweep(Table(STRATA, values, siblings, {}), 16, ["beam"])
    assert (
        oracle.is_oracle
        and oracle.sibling_accuracy == 0.9
        and oracle.gains == {"beam": pytest.approx(0.4)}
    )
    assert (
        not good.is_oracle
        and good.hard_sibling_accuracy == 0.2
        and good.gains == {"beam": pytest.approx(0.25)}
    )
    assert random.gains == {}, "measured in no search"


def test_a_table_holds_what_all_families_and_all_methods_share() -> None:
    first, second = Measured(), Measured()
    for family, hashes in ((first, "abc"), (second, "de")):
        for question in hashes:
            family.outcomes[Key("greedy", 1, "none")][question].append(
                QuestionResult(1.0, 1.0, 2.0, 1.0)
            )
            family.outcomes[Key("majority", 4, "none")][question] += [
                QuestionResult(1.0, 1.0, 2.0, 1.0),
                QuestionResult(0.0, 1.0, 4.0, 2.0),
            ]
    del first.outcomes[Key("greedy", 1, "none")]["b"]
    first.outcomes[Key("beam", 4, "good")]["a"].append(QuestionResult(1.0, 1.0, 2.0, 1.0))
    found = Table.of([first, second], few=True)
    assert list(found.values) == [Key("greedy", 1, "none"), Key("majority", 4, "none")]
    assert list(Table.of([first, second]).values) == [Key("majority", 4, "none")]
    assert found.strata.tolist() == [0, 0, 1, 1]
    assert (
        found.correct(Key("majority", 4, "none")).tolist() == [0.5] * 4
        and found.checked(Key("majority", 4, "none")).tolist() == [1.0] * 4
    )
    assert found.cost(Key("majority", 4, "none")) == (3.0, 1.5)
    assert DERIVATION not in {key.method for key in found.values}
