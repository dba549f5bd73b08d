"""Tables and their statistics."""

from __future__ import annotations

import math
import random
import statistics

from tests.bench.figures import (
    Table,
    Target,
    figure,
    mean,
    ratio_of_ratios,
    ratio_of_sums,
    ratios,
    render,
)

RNG = random.Random(0)
TOKENS = [RNG.uniform(50, 150) for _ in range(400)]
SOLVED = [float(RNG.random() < 0.6) for _ in TOKENS]
OTHER_TOKENS = [tokens * RNG.uniform(0.8, 1.0) for tokens in TOKENS]
OTHER_SOLVED = [solved if RNG.random() < 0.9 else 1 - solved for solved in SOLVED]


def resampled(count: int = 2000) -> list[list[int]]:
    return [[RNG.randrange(len(TOKENS)) for _ in TOKENS] for _ in range(count)]


def test_the_error_of_a_ratio_is_that_of_the_bootstrap() -> None:
    bootstrap = statistics.stdev(
        sum(TOKENS[i] for i in drawn) / sum(SOLVED[i] for i in drawn) for drawn in resampled()
    )
    found = ratio_of_sums(TOKENS, SOLVED)
    assert found.value == sum(TOKENS) / sum(SOLVED)
    assert math.isclose(found.standard_error, bootstrap, rel_tol=0.1)


def test_the_error_of_a_ratio_of_ratios_is_that_of_the_paired_bootstrap() -> None:
    def ratio(drawn: list[int]) -> float:
        first = sum(OTHER_TOKENS[i] for i in drawn) / sum(OTHER_SOLVED[i] for i in drawn)
        return first / (sum(TOKENS[i] for i in drawn) / sum(SOLVED[i] for i in drawn))

    found = ratio_of_ratios((OTHER_TOKENS, OTHER_SOLVED), (TOKENS, SOLVED))
    assert math.isclose(
        found.standard_error, statistics.stdev(map(ratio, resampled())), rel_tol=0.1
    )


def test_a_method_over_itself_is_one_without_error() -> None:
    assert ratio_of_ratios((TOKENS, SOLVED), (TOKENS, SOLVED)) == (1.0, 0.0)


def test_where_nothing_is_solved_there_is_no_price() -> None:
    assert ratio_of_sums(TOKENS, [0.0] * len(TOKENS)).value == math.inf
    assert math.isnan(ratio_of_ratios((TOKENS, SOLVED), (TOKENS, [0.0] * len(TOKENS))).value)
    assert math.isnan(mean([1.0]).standard_error)


def test_a_figure_holds_its_median_against_the_target() -> None:
    row = figure("speed", [3.0, 1.0, 2.0], "x", Target(">=", 2.0))
    assert (row["median"], row["min"], row["max"], row["target"]) == (2.0, 1.0, 3.0, ">= 2 met")
    assert figure("cost", [3.0], "us", Target("<=", 2.0))["target"] == "<= 2 MISSED"


def test_ratios_are_taken_of_what_was_measured_side_by_side() -> None:
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    text = render(Table("title", (figure("a", [1.0], "x"), figure("longer", [10_000.0], "x"))))
    assert text.splitlines()[0] == "title" and "target" not in text
    assert len({line.rindex("x") for line in text.splitlines()[2:]}) == 1
