"""Which cells a comparison has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from configs import ConfigError, compose
from configs.schema import ComparedCritic, SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import (
    candidate_cells,
    filled_in,
    judged_cells,
    measured_cells,
    sampling_cells,
    words_in_use,
)
from graphs.evaluation.search_comparison.choices import (
    Ranking,
    SelectedByGroup,
    SelectedSampling,
    SelectedSettings,
)

SAMPLING = SelectedSampling("t0.6", "t0.8", Ranking("min", 0.5), Ranking())


def shipped() -> SearchComparisonConfig:
    comparison = compose(["experiment=search_comparison"]).comparison
    assert comparison is not None
    return comparison


def choices(
    comparison: SearchComparisonConfig,
    *,
    sampling: SelectedSampling = SAMPLING,
    strategy: str = "dvts",
) -> SelectedByGroup:
    candidates = {each.name: len(each.candidates) - 1 for each in comparison.strategies}
    choice = SelectedSettings(sampling, candidates, strategy, {"beam": 0.5})
    return SelectedByGroup({"others": choice, "self_verifying": choice})


def test_the_shipped_grid_is_the_protocol() -> None:
    comparison = shipped()
    assert (comparison.size, comparison.pool_samples, comparison.budgets, comparison.seeds) == (
        500,
        128,
        (4, 16),
        3,
    )
    cells = list(measured_cells(comparison, comparison.families[0], choices(comparison)))
    for strategy in comparison.strategies:
        runs = [
            (cell.n, cell.seed)
            for cell in cells
            if cell.method == strategy.name and cell.critic == "working"
        ]
        assert runs[:6] == [(n, seed) for n in (4, 16) for seed in (0, 1, 2)]
        assert runs[6:] == ([(64, 0)] if strategy.name in ("beam", "dvts", "rebase") else [])
    sweep = {cell.critic for cell in cells if cell.method == "beam" and cell.critic != "working"}
    assert sweep == {
        "random",
        "length",
        "logprob",
        "oracle0",
        "oracle0.05",
        "oracle0.1",
        "oracle0.2",
        "oracle0.3",
        "oracle0.4",
    }
    assert {cell.split for cell in cells} == {"test"} and {cell.size for cell in cells} == {500}


def test_no_two_cells_are_one_run_and_choosing_looks_at_no_test_question() -> None:
    comparison = shipped()
    family = comparison.families[0]
    validation = [
        *sampling_cells(comparison, family),
        *judged_cells(comparison, family, [sampling.name for sampling in comparison.samplings]),
        *candidate_cells(comparison, family, {"others": SAMPLING}),
    ]
    cells = [*validation, *measured_cells(comparison, family, choices(comparison))]
    assert len({(cell.split, cell.name) for cell in cells}) == len(cells)
    assert {cell.split for cell in validation} == {"validation"}


def test_verdicts_are_on_the_samples_of_a_plain_pool() -> None:
    comparison = shipped()
    for sampling, pools in (
        (SAMPLING, [("none", "t0.8"), ("none", "t0.6"), ("working", "t0.8")]),
        (replace(SAMPLING, majority="t0.8"), [("none", "t0.8"), ("working", "t0.8")]),
    ):
        cells = list(
            measured_cells(
                comparison, comparison.families[0], choices(comparison, sampling=sampling)
            )
        )
        found = [cell for cell in cells if cell.method == "pool"]
        assert [(cell.critic, cell.sampling) for cell in found] == pools
        assert found[-1].samples_from == found[0]


def test_a_further_critic_gets_the_chosen_strategy_and_the_dials() -> None:
    comparison = shipped()
    comparison = comparison.model_copy(
        update={
            "critics": (
                *comparison.critics,
                ComparedCritic(name="working.2", words="critic=token"),
            )
        }
    )
    cells = [
        cell
        for cell in measured_cells(comparison, comparison.families[0], choices(comparison))
        if cell.critic == "working.2"
    ]
    assert [(cell.method, cell.n) for cell in cells] == [
        ("pool", 128),
        *[("dvts", 16)] * 3,
        *[("beam", 16)] * 3,
    ]
    assert all("critic=token" in cell.words for cell in cells)


def test_the_budget_stands_for_its_names() -> None:
    assert filled_in("search=beam search.num_samples={n} search.beam_width={width}", 16) == (
        "search=beam",
        "search.num_samples=16",
        "search.beam_width=4",
    )


def test_all_words_of_the_shipped_grid_compose() -> None:
    comparison = shipped().model_copy(update={"budgets": (4,), "large_budget": None})
    for words in dict.fromkeys(words_in_use(comparison)):
        assert compose(["experiment=search_comparison", *words]).budget.max_tokens is None


def test_choices_are_read_as_they_were_written() -> None:
    made = choices(shipped())
    assert SelectedByGroup.from_json(made.as_json()) == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["comparison.budgets=[16,4]"], r"comparison\.budgets \(\[16, 4\]\) must be ascending"),
        (
            ["comparison.pool_samples=8"],
            r"comparison\.pool_samples \(8\) must be at "
            r"least the largest budget \(64\)",
        ),
        (
            ["comparison.validation_samples=8"],
            r"comparison\.validation_samples \(8\) "
            r"must be at least",
        ),
        (
            ["comparison.families=[{name: locks}, {name: locks}]"],
            r"comparison\.families names locks twice",
        ),
        (["comparison.families=[]"], "must not be empty"),
        (
            ["comparison.strategies=[{name: pool, candidates: ['search=greedy']}]"],
            r"comparison\.strategies \(pool\) are always measured",
        ),
        (
            ["comparison.critics=[{name: oracle.2, words: 'critic=token'}]"],
            r"comparison\.critics \(oracle\.2\) is the name of a critic without",
        ),
        (["comparison.size=0"], r"comparison\.size \(0\) must be an integer, at least 1"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose(["comparison=search", *words])


def test_an_option_of_a_comparison_needs_one() -> None:
    with pytest.raises(
        ConfigError,
        match=r"comparison\.size is an option of "
        r"comparison=search, and comparison is null",
    ):
        compose(["comparison.size=5"])
