"""The cells of a comparison: every cell is one ordinary run over the questions of one
family.

A cell is stored in FOLDER/SPLIT/FAMILY/NAME, so a comparison can be resumed and each of
its runs inspected like any other. The test cells depend on the settings selected on
validation questions (graphs/evaluation/search_comparison/choices.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """Overrides that select the sampling, the search and the critic."""
    sampling: str | None
    """Name of the policy's sampling; None: greedy."""
    candidate: int | None = None
    """Index of the strategy's candidate settings in a validation cell."""
    model: str = ""
    """Name of another model (comparison.models); "": the model under comparison."""
    samples_from: Cell | None = None
    """The cell whose samples are judged; None: the cell samples."""

    @property
    def name(self) -> str:
        """Name of the run, unique within a split and family."""
        parts = [self.method if self.candidate is None else f"{self.method}.{self.candidate}"]
        if self.method == "pool":
            parts += [str(self.sampling), self.critic]
        elif self.method != "greedy":
            parts += [str(self.n), self.critic, f"seed{self.seed}"]
        return "-".join([*parts, self.model] if self.model else parts)

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


def sampling_words(name: str, comparison: SearchComparisonConfig) -> str:
    """Returns the overrides of one of comparison.samplings."""
    return next(sampling.words for sampling in comparison.samplings if sampling.name == name)


def size_of(comparison: SearchComparisonConfig, split: Split, family: ComparedFamily) -> int:
    """Returns the number of questions of a family in a split."""
    if split == "validation":
        return comparison.validation_size
    return family.size or comparison.size


def pool(
    comparison: SearchComparisonConfig,
    split: Split,
    family: ComparedFamily,
    sampling: str,
    critic: str,
) -> Cell:
    """Returns the cell that stores completions; with a critic, the cell that stores its
    verdicts on the steps of the same completions.
    """
    n = comparison.validation_samples if split == "validation" else comparison.pool_samples
    selection = "majority" if critic == NO_CRITIC else "weighted_vote"
    words = filled_in(
        f"{sampling_words(sampling, comparison)} {_POOL} search.selection={selection} "
        f"{critic_words(critic, comparison)}",
        n,
    )
    plain = None if critic == NO_CRITIC else pool(comparison, split, family, sampling, NO_CRITIC)
    size = size_of(comparison, split, family)
    return Cell(split, family, size, "pool", n, critic, 0, words, sampling, samples_from=plain)


def greedy(comparison: SearchComparisonConfig, split: Split, family: ComparedFamily) -> Cell:
    """Returns the cell of greedy decoding."""
    size = size_of(comparison, split, family)
    return Cell(split, family, size, "greedy", 1, NO_CRITIC, 0, tuple(_GREEDY.split()), None)


def model_cells(
    comparison: SearchComparisonConfig, family: ComparedFamily, sampling: str
) -> Iterator[Cell]:
    """Yields the test cells of the other models: greedy, and a pool for the majority
    vote.
    """
    for model in comparison.models:
        own = tuple(model.words.split())
        plain = greedy(comparison, "test", family)
        yield replace(plain, words=(*plain.words, *own), model=model.name)
        if model.samples > 1:
            vote = pool(comparison, "test", family, sampling, NO_CRITIC)
            words = (*vote.words, f"search.num_samples={model.samples}", *own)
            size = min(model.size or vote.size, vote.size)
            yield replace(vote, words=words, n=model.samples, size=size, model=model.name)


def sampling_cells(comparison: SearchComparisonConfig, family: ComparedFamily) -> Iterator[Cell]:
    """Yields the validation cells on which the sampling of the majority is selected."""
    yield greedy(comparison, "validation", family)
    for sampling in comparison.samplings:
        yield pool(comparison, "validation", family, sampling.name, NO_CRITIC)


def judged_cells(
    comparison: SearchComparisonConfig, family: ComparedFamily, samplings: Sequence[str]
) -> Iterator[Cell]:
    """Yields the validation cells on which the sampling and the ranking of methods with
    a critic are selected.
    """
    for sampling in samplings:
        yield pool(comparison, "validation", family, sampling, comparison.critics[0].name)


def candidate_cells(
    comparison: SearchComparisonConfig,
    family: ComparedFamily,
    samplings: Mapping[FamilyGroup, SelectedSampling],
) -> Iterator[Cell]:
    """Yields the validation cells on which every strategy's settings and the strategy
    are selected.
    """
    n, critic, sampling = (
        comparison.budgets_of_searches[-1],
        comparison.critics[0].name,
        samplings[group_of(family)],
    )
    for strategy in comparison.strategies:
        for number in range(len(strategy.candidates)):
            words = _words(comparison, strategy, number, n, critic, sampling.guided)
            yield Cell(
                "validation",
                family,
                comparison.validation_size,
                strategy.name,
                n,
                critic,
                0,
                words,
                sampling.guided,
                candidate=number,
            )


def measured_cells(
    comparison: SearchComparisonConfig, family: ComparedFamily, choices: SelectedByGroup
) -> Iterator[Cell]:
    """Yields the test cells of a family, those of the first critic first."""
    choice = choices.of(family)
    guided, majority = choice.sampling.guided, choice.sampling.majority
    first, *others = (critic.name for critic in comparison.critics)
    yield greedy(comparison, "test", family)
    for sampling in dict.fromkeys((guided, majority)):
        yield pool(comparison, "test", family, sampling, NO_CRITIC)
    yield pool(comparison, "test", family, guided, first)
    yield from model_cells(comparison, family, majority)
    strategies = {strategy.name: strategy for strategy in comparison.strategies}
    if family.transfer:
        if choice.strategy in strategies:
            for n in comparison.budgets_of_searches:
                yield _search(comparison, family, strategies[choice.strategy], choice, n, first, 0)
        return
    for n, seeds in _budgets(comparison, large=True):
        for seed in range(seeds):
            words = filled_in(f"{sampling_words(majority, comparison)} {_LOGPROB_BEAM}", n)
            size = size_of(comparison, "test", family)
            yield Cell("test", family, size, "logprob_beam", n, NO_CRITIC, seed, words, majority)
    for strategy in comparison.strategies:
        for n, seeds in _budgets(comparison, large=strategy.large):
            for seed in range(seeds):
                yield _search(comparison, family, strategy, choice, n, first, seed)
    if comparison.selected_size is not None and choice.strategy in strategies:
        for n in comparison.budgets:
            if n not in comparison.budgets_of_searches:
                cell = _search(comparison, family, strategies[choice.strategy], choice, n, first, 0)
                yield replace(cell, size=min(cell.size, comparison.selected_size))
    yield from _noise_cells(comparison, family, choice)
    n = comparison.budgets_of_searches[-1]
    for critic in others:
        yield pool(comparison, "test", family, guided, critic)
        for name in dict.fromkeys((choice.strategy, comparison.noise_sweep or choice.strategy)):
            for seed in range(comparison.seeds) if name in strategies else ():
                yield _search(comparison, family, strategies[name], choice, n, critic, seed)


def _noise_cells(
    comparison: SearchComparisonConfig, family: ComparedFamily, choice: SelectedSettings
) -> Iterator[Cell]:
    """Yields the cells of the strategy of the noise sweep with every control and noisy
    oracle.
    """
    n = comparison.budgets_of_searches[-1]
    for strategy in comparison.strategies:
        if strategy.name == comparison.noise_sweep:
            for critic in (*CONTROLS, *(oracle_name(rate) for rate in comparison.flip_rates)):
                yield _search(comparison, family, strategy, choice, n, critic, 0)


def words_in_use(comparison: SearchComparisonConfig) -> Iterator[tuple[str, ...]]:
    """Yields the overrides of all possible cells, so that they can be validated before
    the first run.
    """
    first = comparison.critics[0].name
    for sampling in comparison.samplings:
        for strategy in comparison.strategies:
            for number in range(len(strategy.candidates)):
                for n in {*comparison.budgets, *(n for n, _ in _budgets(comparison, large=True))}:
                    yield _words(comparison, strategy, number, n, first, sampling.name)
        for critic in comparison.critics:
            words = f"{sampling.words} {_POOL} search.selection=weighted_vote {critic.words}"
            yield filled_in(words, comparison.pool_samples)
    for model in comparison.models:
        yield tuple(f"{_GREEDY} {model.words}".split())


def _budgets(comparison: SearchComparisonConfig, *, large: bool) -> list[tuple[int, int]]:
    """Returns each budget of a search with its number of seeds."""
    budgets = [(n, comparison.seeds) for n in comparison.budgets_of_searches]
    if (
        large
        and comparison.large_budget is not None
        and comparison.large_budget not in comparison.budgets_of_searches
    ):
        budgets.append((comparison.large_budget, 1))
    return budgets


def _words(
    comparison: SearchComparisonConfig,
    strategy: ComparedStrategy,
    candidate: int,
    n: int,
    critic: str,
    sampling: str,
) -> tuple[str, ...]:
    return filled_in(
        f"{sampling_words(sampling, comparison)} {critic_words(critic, comparison)} "
        f"{strategy.candidates[candidate]}",
        n,
    )


def _search(
    comparison: SearchComparisonConfig,
    family: ComparedFamily,
    strategy: ComparedStrategy,
    choice: SelectedSettings,
    n: int,
    critic: str,
    seed: int,
) -> Cell:
    sampling, candidate = choice.sampling.guided, choice.candidates[strategy.name]
    words = _words(comparison, strategy, candidate, n, critic, sampling)
    size = size_of(comparison, "test", family)
    return Cell("test", family, size, strategy.name, n, critic, seed, words, sampling)


def is_seed_of(critic: ComparedCritic, first: ComparedCritic) -> bool:
    """Whether a critic is the first one or a further training seed of it."""
    return critic.name == first.name or critic.name.startswith(f"{first.name}.")
