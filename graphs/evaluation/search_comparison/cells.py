"""The cells of a comparison: every cell is one ordinary run over the questions of one
family.

A cell is stored in FOLDER/SPLIT/FAMILY/NAME, so a comparison can be resumed and each of
its runs inspected like any other. The test cells depend on the settings selected on
validation questions (graphs/evaluation/search_comparison/choices.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.files import read_json
from agents.types import Split
from configs import ConfigError
from configs.schema import ComparedCritic, ComparedFamily, ComparedStrategy, SearchComparisonConfig
from graphs.evaluation.search_comparison.choices import (
    FamilyGroup,
    SelectedByGroup,
    SelectedSampling,
    SelectedSettings,
    group_of,
)

NO_CRITIC = "none"
CONTROLS = ("random", "length", "logprob")
"""Critics without a model. Random and length carry no information, so a search that
beats the majority with one of them does not gain from verdicts."""
ORACLE = "oracle"

_GREEDY = "search=greedy critic=none"
_POOL = "search=best_of_n search.num_samples={n} policy.logprobs=always"
_LOGPROB_BEAM = (
    "search=beam search.num_samples={n} search.beam_width={width} search.logprob_weight=1 "
    "critic=none"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a comparison."""

    split: Split
    family: ComparedFamily
    size: int
    """Questions."""
    method: str
    n: int
    """Budget: number of samples, or the strategy's equivalent."""
    critic: str
    seed: int
    words: tuple[str, ...]
    """Overrides that select the search and the critic."""
    temperature: float | None
    """Temperature of the policy; None: greedy."""
    candidate: int | None = None
    """Index of the strategy's candidate settings in a validation cell."""

    @property
    def name(self) -> str:
        """Name of the run, unique within a split and family."""
        parts = [self.method if self.candidate is None else f"{self.method}.{self.candidate}"]
        if self.method == "pool":
            parts += [f"t{self.temperature:g}", self.critic]
        elif self.method != "greedy":
            parts += [str(self.n), self.critic, f"seed{self.seed}"]
        return "-".join(parts)

    def folder(self, root: Path) -> Path:
        """Returns the directory of the run."""
        return root / self.split / self.family.name / self.name


def is_finished(cell: Cell, root: Path) -> bool:
    """Whether all questions of a cell were run."""
    path = cell.folder(root) / "metrics.json"
    return path.is_file() and bool(read_json(path, "questions")["questions"] == cell.size)


def filled_in(words: str, n: int) -> tuple[str, ...]:
    """Returns overrides with {n} replaced by the budget and {width} by its integer
    square root.
    """
    try:
        return tuple(words.format(n=n, width=math.isqrt(n)).split())
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"comparison ({words}) has a brace that is neither {{n}} nor {{width}} ({error}); "
            "write one of these"
        ) from error


def critic_words(name: str, comparison: SearchComparisonConfig) -> str:
    """Returns the overrides that select a critic by its name in cells."""
    if name in (NO_CRITIC, *CONTROLS):
        return f"critic={name}"
    if name.startswith(ORACLE):
        return f"critic=oracle critic.flip_rate={name.removeprefix(ORACLE)}"
    return next(critic.words for critic in comparison.critics if critic.name == name)


def oracle_name(flip_rate: float) -> str:
    """Returns the name of the oracle with this flip rate."""
    return f"{ORACLE}{flip_rate:g}"


def pool(
    comparison: SearchComparisonConfig,
    split: Split,
    family: ComparedFamily,
    temperature: float,
    critic: str,
) -> Cell:
    """Returns the cell that stores completions, with verdicts on all steps if there is
    a critic.
    """
    n, size = (
        (comparison.validation_samples, comparison.validation_size)
        if split == "validation"
        else (comparison.pool_samples, comparison.size)
    )
    selection = "majority" if critic == NO_CRITIC else "weighted_vote"
    words = filled_in(f"{_POOL} search.selection={selection} {critic_words(critic, comparison)}", n)
    return Cell(split, family, size, "pool", n, critic, 0, words, temperature)


def greedy(comparison: SearchComparisonConfig, split: Split, family: ComparedFamily) -> Cell:
    """Returns the cell of greedy decoding."""
    size = comparison.validation_size if split == "validation" else comparison.size
    return Cell(split, family, size, "greedy", 1, NO_CRITIC, 0, tuple(_GREEDY.split()), None)


def sampling_cells(comparison: SearchComparisonConfig, family: ComparedFamily) -> Iterator[Cell]:
    """Yields the validation cells on which temperatures and votes are selected."""
    yield greedy(comparison, "validation", family)
    for temperature in comparison.temperatures:
        yield pool(comparison, "validation", family, temperature, comparison.critics[0].name)


def candidate_cells(
    comparison: SearchComparisonConfig,
    family: ComparedFamily,
    samplings: Mapping[FamilyGroup, SelectedSampling],
) -> Iterator[Cell]:
    """Yields the validation cells on which every strategy's settings and the strategy
    are selected.
    """
    n, critic, sampling = (
        comparison.main_budget,
        comparison.critics[0].name,
        samplings[group_of(family)],
    )
    for strategy in comparison.strategies:
        for number in range(len(strategy.candidates)):
            words = _words(comparison, strategy, number, n, critic)
            yield Cell(
                "validation",
                family,
                comparison.validation_size,
                strategy.name,
                n,
                critic,
                0,
                words,
                sampling.temperature,
                candidate=number,
            )


def measured_cells(
    comparison: SearchComparisonConfig, family: ComparedFamily, choices: SelectedByGroup
) -> Iterator[Cell]:
    """Yields the test cells of a family, those of the first critic first."""
    choice, main = choices.of(family), comparison.main_budget
    first, *others = (critic.name for critic in comparison.critics)
    yield greedy(comparison, "test", family)
    yield pool(comparison, "test", family, choice.sampling.temperature, first)
    if choice.sampling.majority_temperature != choice.sampling.temperature:
        yield pool(comparison, "test", family, choice.sampling.majority_temperature, NO_CRITIC)
    for n, seeds in _budgets(comparison, large=True):
        for seed in range(seeds):
            words = filled_in(_LOGPROB_BEAM, n)
            yield Cell(
                "test",
                family,
                comparison.size,
                "logprob_beam",
                n,
                NO_CRITIC,
                seed,
                words,
                choice.sampling.majority_temperature,
            )
    for strategy in comparison.strategies:
        for n, seeds in _budgets(comparison, large=strategy.large):
            for seed in range(seeds):
                yield _search(comparison, family, strategy, choice, n, first, seed)
    guided = {strategy.name: strategy for strategy in comparison.strategies}
    for critic in (
        (*CONTROLS, *(oracle_name(rate) for rate in comparison.flip_rates))
        if comparison.noise_sweep in guided
        else ()
    ):
        yield _search(comparison, family, guided[comparison.noise_sweep], choice, main, critic, 0)
    for critic in others:
        yield pool(comparison, "test", family, choice.sampling.temperature, critic)
        for name in dict.fromkeys((choice.strategy, comparison.noise_sweep)):
            for seed in range(comparison.seeds) if name in guided else ():
                yield _search(comparison, family, guided[name], choice, main, critic, seed)


def words_in_use(comparison: SearchComparisonConfig) -> Iterator[tuple[str, ...]]:
    """Yields the overrides of all possible cells, so that they can be validated before
    the first run.
    """
    for strategy in comparison.strategies:
        for number in range(len(strategy.candidates)):
            for n, _ in _budgets(comparison, large=strategy.large):
                yield _words(comparison, strategy, number, n, comparison.critics[0].name)
    for critic in comparison.critics:
        yield filled_in(
            f"{_POOL} search.selection=weighted_vote {critic.words}", comparison.pool_samples
        )


def _budgets(comparison: SearchComparisonConfig, *, large: bool) -> list[tuple[int, int]]:
    """Returns each budget with its number of seeds."""
    budgets = [(n, comparison.seeds) for n in comparison.budgets]
    if (
        large
        and comparison.large_budget is not None
        and comparison.large_budget not in comparison.budgets
    ):
        budgets.append((comparison.large_budget, 1))
    return budgets


def _words(
    comparison: SearchComparisonConfig,
    strategy: ComparedStrategy,
    candidate: int,
    n: int,
    critic: str,
) -> tuple[str, ...]:
    return filled_in(f"{critic_words(critic, comparison)} {strategy.candidates[candidate]}", n)


def _search(
    comparison: SearchComparisonConfig,
    family: ComparedFamily,
    strategy: ComparedStrategy,
    choice: SelectedSettings,
    n: int,
    critic: str,
    seed: int,
) -> Cell:
    words = _words(comparison, strategy, choice.candidates[strategy.name], n, critic)
    return Cell(
        "test",
        family,
        comparison.size,
        strategy.name,
        n,
        critic,
        seed,
        words,
        choice.sampling.temperature,
    )


def is_seed_of(critic: ComparedCritic, first: ComparedCritic) -> bool:
    """Whether a critic is the first one or a further training seed of it."""
    return critic.name == first.name or critic.name.startswith(f"{first.name}.")
