"""Options of a comparison of searches: `python -m graphs.run -m
experiment=search_comparison`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.schema.base import ConfigGroup, check_different

RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._]*$")]
"""Part of a run's name; "-" separates the parts."""
FlipRate = Annotated[float, Field(ge=0, le=0.5)]
_RESERVED = {
    "greedy",
    "pool",
    "majority",
    "logprob_vote",
    "logprob_beam",
    "weighted_vote",
    "best_of_n",
    "derivation",
    "coverage",
}
_FREE_CRITICS = {"none", "random", "length", "logprob"}


class ComparedFamily(ConfigGroup):
    """A set of questions: a family of the pocket task, or another task."""

    name: RunName
    """Name of the family; for another task any name."""
    words: str = ""
    """Overrides that select another task, such as "task=gsm8k"; empty: the family
    `name` of the pocket task."""
    levels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Levels of a pocket family's questions; choose levels at which greedy decoding
    solves about 40 %. Empty: all levels."""
    transfer: bool = False
    """Whether nothing is selected on these questions: the settings of the other
    families are used, and only greedy, the votes and the selected method are
    measured."""
    size: int | None = Field(None, ge=1)
    """Test questions; null: comparison.size."""
    verifies_itself: bool = False
    """Whether an answer can be checked without the right one; such families are
    reported separately."""


class ComparedSampling(ConfigGroup):
    """Sampling parameters of the policy."""

    name: RunName
    """Name of the sampling in runs and tables."""
    words: str
    """Overrides, such as "policy.temperature=0.6"."""


class ComparedModel(ConfigGroup):
    """Another model, measured without search."""

    name: RunName
    """Name of the model in runs and tables."""
    words: str
    """Overrides that select the model, such as "engine.model=FOLDER"."""
    samples: int = Field(1, ge=1)
    """Samples of its majority vote; 1: greedy alone."""
    size: int | None = Field(None, ge=1)
    """Questions of its majority vote, the first ones; null: all."""


class ComparedStrategy(ConfigGroup):
    """A search as command-line overrides, in which {n} is replaced by the budget and
    {width} by its integer square root.
    """

    name: RunName
    """Name of the strategy in runs and tables."""
    candidates: tuple[str, ...] = Field(min_length=1)
    """Candidate settings, each a string of overrides; the best one on validation
    questions is measured on test questions."""
    large: bool = False
    """Whether it is also measured at comparison.large_budget."""


class ComparedCritic(ConfigGroup):
    """A learned critic."""

    name: RunName
    """Name of the critic in runs and tables."""
    words: str
    """Overrides that select the critic."""


class SearchComparisonConfig(ConfigGroup):
    """Compares searches at equal cost. The steps of the pocket task's questions are
    judged by an exact checker; those of other tasks by their arithmetic.
    """

    kind: Literal["search"] = "search"
    """Run every cell of a grid of searches, then write tables and figures."""
    families: tuple[ComparedFamily, ...] = (ComparedFamily(name="locks"),)
    """Families of questions, each {name, levels, verifies_itself}."""
    size: int = Field(500, ge=1)
    """Test questions of each family."""
    validation_size: int = Field(200, ge=1)
    """Validation questions of each family, on which temperatures, settings and the
    strategy are selected."""
    pool_samples: int = Field(128, ge=2)
    """Stored samples per test question, from which votes and coverage are subsampled;
    at least the largest budget."""
    validation_samples: int = Field(32, ge=2)
    """Stored samples per validation question; at least the largest of
    comparison.budgets."""
    samplings: tuple[ComparedSampling, ...] = Field(
        tuple(
            ComparedSampling(name=f"t{temperature:g}", words=f"policy.temperature={temperature:g}")
            for temperature in (0.6, 0.8, 1.0)
        ),
        min_length=1,
    )
    """Candidate sampling parameters, each {name, words}."""
    guided_sampling: Literal["selected", "majority"] = "selected"
    """Sampling of methods with a critic. selected: the one with the best weighted vote;
    majority: the one with the best majority vote, so that only its validation samples
    are judged."""
    budgets: tuple[Annotated[int, Field(ge=1)], ...] = Field((4, 16), min_length=1)
    """Budgets (N), ascending; closure is reported at the last one."""
    search_budgets: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Budgets at which the strategies are run; votes and best-of-N come from the pool
    at all budgets. Empty: comparison.budgets."""
    large_budget: int | None = Field(64, ge=1)
    """Budget of the strategies with `large` set, with one seed; null: none."""
    seeds: int = Field(3, ge=1)
    """Seeds of every search at comparison.budgets."""
    selected_size: int | None = Field(None, ge=1)
    """Questions, the first ones, on which the selected strategy is also run at those of
    comparison.budgets that are not in comparison.search_budgets; null: none."""
    names: dict[RunName, str] = Field(default_factory=dict)
    """Texts that all overrides of the comparison may name in braces: {large: FOLDER}
    replaces {large}."""
    models: tuple[ComparedModel, ...] = ()
    """Other models, measured greedy and with a majority vote, each {name, words,
    samples, size}."""
    strategies: tuple[ComparedStrategy, ...] = ()
    """Searches to compare, each {name, candidates, large}; votes and best-of-N are
    always computed, from the pool."""
    critics: tuple[ComparedCritic, ...] = (ComparedCritic(name="working", words="critic=pocket"),)
    """Learned critics, each {name, words}; all searches are measured with the first
    one. Critics with the same name plus "." and a number (working.2) are further
    training seeds of it: the selected strategy is measured with each, and the bootstrap
    resamples them."""
    noise_sweep: str | None = "beam"
    """Strategy that is measured with every critic, control and noisy oracle; null: only
    votes and best-of-N are."""
    flip_rates: tuple[FlipRate, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
    """Shares of the oracle's verdicts that are inverted: the settings of the noise
    sweep."""

    def resolved(self) -> SearchComparisonConfig:
        """Returns the comparison with the texts of `names` in its overrides."""
        text = self.model_dump_json(exclude={"names"})
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", json.dumps(value)[1:-1])
        return SearchComparisonConfig.model_validate_json(text)

    @property
    def budgets_of_searches(self) -> tuple[int, ...]:
        """The budgets at which strategies are run."""
        return self.search_budgets or self.budgets

    @property
    def main_budget(self) -> int:
        """The budget (N) at which closure and loss attribution are reported."""
        return self.budgets[-1]

    @model_validator(mode="after")
    def _grid_is_whole(self) -> Self:
        for option in ("families", "strategies", "critics", "samplings", "models"):
            check_different(f"comparison.{option}", [each.name for each in getattr(self, option)])
        if not self.families or not self.critics:
            raise ValueError(
                "comparison.families and comparison.critics must not be empty; name at least one "
                "each"
            )
        for option in ("budgets", "search_budgets"):
            budgets = list(getattr(self, option))
            if budgets != sorted(set(budgets)):
                raise ValueError(
                    f"comparison.{option} ({budgets}) must be ascending; list each budget once, "
                    "smallest first"
                )
        if all(family.transfer for family in self.families):
            raise ValueError(
                "comparison.families are all transfer families, so nothing can be selected; set "
                "transfer to false for one"
            )
        if taken := _RESERVED & {strategy.name for strategy in self.strategies}:
            raise ValueError(
                f"comparison.strategies ({', '.join(sorted(taken))}) are always measured; give "
                "the strategy another name"
            )
        names = [strategy.name for strategy in self.strategies]
        if self.strategies and self.noise_sweep is not None and self.noise_sweep not in names:
            raise ValueError(
                f"comparison.noise_sweep ({self.noise_sweep}) must be one of comparison.strategies "
                f"({', '.join(names)}); name one of them"
            )
        for critic in self.critics:
            if critic.name in _FREE_CRITICS or critic.name.startswith("oracle"):
                raise ValueError(
                    f"comparison.critics ({critic.name}) is the name of a critic without a model; "
                    "give the critic another name"
                )
        largest = max(self.main_budget, self.large_budget or 0)
        if self.pool_samples < largest:
            raise ValueError(
                f"comparison.pool_samples ({self.pool_samples}) must be at least the largest "
                f"budget ({largest}); raise it"
            )
        if self.validation_samples < self.main_budget:
            raise ValueError(
                f"comparison.validation_samples ({self.validation_samples}) must be at least the "
                f"largest of comparison.budgets ({self.main_budget}); raise it"
            )
        return self
