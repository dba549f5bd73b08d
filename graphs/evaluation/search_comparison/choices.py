"""What validation questions decide, for each group of families at once: temperatures,
votes, every strategy's settings, and the strategy.

It is written to FOLDER/choices.json before the first test question is asked. The same
validation runs give the same choices.
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

FamilyGroup = Literal["others", "self_verifying"]
"""`others`: families whose answers cannot be checked without the right one.
`self_verifying`: those whose can, told apart."""

AGGREGATIONS: tuple[Aggregation, ...] = ("product", "min", "last", "mean")
LOGPROB_WEIGHTS = (0.0, 0.5, 1.0)


def group_of(family: ComparedFamily) -> FamilyGroup:
    """Returns the group that a family is told in."""
    return "self_verifying" if family.verifies_itself else "others"


def groups_of(families: Iterable[ComparedFamily]) -> dict[FamilyGroup, list[ComparedFamily]]:
    """Returns the families of each group that has any."""
    groups: dict[FamilyGroup, list[ComparedFamily]] = {}
    for family in families:
        groups.setdefault(group_of(family), []).append(family)
    return groups


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a sample's verdicts make its weight."""

    aggregation: Aggregation = "product"
    logprob_weight: float = 0.0

    @property
    def selector(self) -> Selector:
        """The selector that scores so."""
        return Selector("weighted_vote", self.aggregation, self.logprob_weight)


RANKINGS = tuple(
    Ranking(aggregation, weight) for aggregation in AGGREGATIONS for weight in LOGPROB_WEIGHTS
)
"""What there is to choose from; of equals the first one is taken."""


@dataclass(frozen=True, slots=True)
class SelectedSampling:
    """What is chosen from validation samples."""

    majority_temperature: float
    """At which a majority, and log-probability votes and beams, sample."""
    temperature: float
    """At which everything samples that a critic guides."""
    vote: Ranking
    """Of the weighted vote."""
    best: Ranking
    """Of best-of-N."""


@dataclass(frozen=True, slots=True)
class SelectedSettings:
    """What was chosen for a group of families."""

    sampling: SelectedSampling
    candidates: Mapping[str, int]
    """Number of the settings of each strategy."""
    strategy: str
    """The method with a critic that solved most validation questions: one of the
    strategies, weighted_vote or best_of_n."""
    accuracies: Mapping[str, float]
    """What was seen on validation questions, by what it is of."""


@dataclass(frozen=True, slots=True)
class SelectedByGroup:
    """What was chosen, by group."""

    groups: Mapping[FamilyGroup, SelectedSettings]

    def of(self, family: ComparedFamily) -> SelectedSettings:
        """Returns the choice that holds for a family."""
        return self.groups[group_of(family)]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; `from_json` is the inverse."""
        return {group: asdict(choice) for group, choice in self.groups.items()}

    @classmethod
    def from_json(cls, values: Mapping[Any, Any]) -> SelectedByGroup:
        """Returns the choices that `as_json` wrote."""
        return cls({group: _choice(choice) for group, choice in values.items()})

    def save(self, path: Path) -> None:
        """Writes the choices."""
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
