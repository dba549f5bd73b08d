"""The settings that are selected on validation questions, per group of families:
sampling, votes, every strategy's settings, and the strategy.

They are written to FOLDER/choices.json before the first test question is run, and are a
deterministic function of the validation runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agents.files import read_json, write_text
from configs.schema import ComparedFamily
from configs.schema.search.base import ScoreAggregation as Aggregation
from graphs.strategies.selection import Selector

FamilyGroup = Literal["others", "self_verifying", "transfer"]
"""`self_verifying`: families whose answers can be checked without the right one,
reported separately. `transfer`: families on which nothing is selected. `others`: all
other families."""

AGGREGATIONS: tuple[Aggregation, ...] = ("product", "min", "last", "mean")
LOGPROB_WEIGHTS = (0.0, 0.5, 1.0)


def group_of(family: ComparedFamily) -> FamilyGroup:
    """Returns the group in which a family is reported."""
    if family.transfer:
        return "transfer"
    return "self_verifying" if family.verifies_itself else "others"


def groups_of(families: Iterable[ComparedFamily]) -> dict[FamilyGroup, list[ComparedFamily]]:
    """Returns the families of each non-empty group, transfer families last."""
    groups: dict[FamilyGroup, list[ComparedFamily]] = {}
    for family in sorted(families, key=lambda family: family.transfer):
        groups.setdefault(group_of(family), []).append(family)
    return groups


@dataclass(frozen=True, slots=True)
class Ranking:
    """How the weight of a sample is computed from its verdicts."""

    aggregation: Aggregation = "product"
    logprob_weight: float = 0.0

    @property
    def selector(self) -> Selector:
        """The selector with these settings."""
        return Selector("weighted_vote", self.aggregation, self.logprob_weight)


RANKINGS = tuple(
    Ranking(aggregation, weight) for aggregation in AGGREGATIONS for weight in LOGPROB_WEIGHTS
)
"""Candidate rankings; ties go to the first."""


@dataclass(frozen=True, slots=True)
class SelectedSampling:
    """Sampling settings selected on validation samples."""

    majority: str
    """Name of the sampling (comparison.samplings) of majority votes, log-probability
    votes and log-probability beams."""
    guided: str
    """Name of the sampling of all methods with a critic."""
    vote: Ranking
    """Ranking of the weighted vote."""
    best: Ranking
    """Ranking of best-of-N."""


@dataclass(frozen=True, slots=True)
class SelectedSettings:
    """The settings selected for a group of families."""

    sampling: SelectedSampling
    candidates: Mapping[str, int]
    """Index of the selected candidate of each strategy."""
    strategy: str
    """The method with a critic that solved most validation questions: a strategy,
    weighted_vote or best_of_n."""
    accuracies: Mapping[str, float]
    """Validation accuracy of each method with a critic."""


@dataclass(frozen=True, slots=True)
class SelectedByGroup:
    """The selected settings of each group."""

    groups: Mapping[FamilyGroup, SelectedSettings]

    def of(self, family: ComparedFamily) -> SelectedSettings:
        """Returns the settings of a family's group; for a transfer family those of the
        first group.
        """
        return self.groups.get(group_of(family)) or next(iter(self.groups.values()))

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; `from_json` is the inverse."""
        return {group: asdict(choice) for group, choice in self.groups.items()}

    @classmethod
    def from_json(cls, values: Mapping[Any, Any]) -> SelectedByGroup:
        """Returns the choices that `as_json` wrote."""
        return cls({group: _choice(choice) for group, choice in values.items()})

    def save(self, path: Path) -> None:
        """Writes the settings as JSON."""
        write_text(path, json.dumps(self.as_json(), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> SelectedByGroup:
        """Reads what `save` wrote."""
        return cls.from_json(read_json(path))


def _choice(values: Mapping[str, Any]) -> SelectedSettings:
    sampling = values["sampling"]
    rankings = {name: Ranking(**sampling[name]) for name in ("vote", "best")}
    return SelectedSettings(
        SelectedSampling(**{**sampling, **rankings}),
        values["candidates"],
        values["strategy"],
        values["accuracies"],
    )
