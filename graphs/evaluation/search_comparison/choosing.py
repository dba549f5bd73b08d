"""Selects settings on finished validation cells; all questions of a group weigh
equally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from configs.schema import ComparedFamily, SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import candidate_cells, pool
from graphs.evaluation.search_comparison.choices import (
    RANKINGS,
    FamilyGroup,
    Ranking,
    SelectedByGroup,
    SelectedSampling,
    SelectedSettings,
    groups_of,
)
from graphs.evaluation.search_comparison.measure import vote_accuracies
from graphs.traces.store import TraceStore


def choose_sampling(
    comparison: SearchComparisonConfig, folder: Path
) -> dict[FamilyGroup, SelectedSampling]:
    """Returns the temperatures and rankings with the best validation accuracy: the
    majority's temperature, and those of the weighted vote.

    Ties go to the first of comparison.temperatures and the first of `RANKINGS`.
    """
    return {
        group: _sampling(comparison, folder, families)
        for group, families in groups_of(comparison.families).items()
    }


def choose(
    comparison: SearchComparisonConfig,
    folder: Path,
    samplings: Mapping[FamilyGroup, SelectedSampling],
) -> SelectedByGroup:
    """Returns the selected settings: the sampling, every strategy's best candidate, and
    the best method with a critic.
    """
    chosen: dict[FamilyGroup, SelectedSettings] = {}
    for group, families in groups_of(comparison.families).items():
        sampling, accuracies, candidates = samplings[group], {}, {}
        cells = [
            cell for family in families for cell in candidate_cells(comparison, family, samplings)
        ]
        for strategy in comparison.strategies:
            found = []
            for number in range(len(strategy.candidates)):
                own = [
                    cell
                    for cell in cells
                    if (cell.method, cell.candidate) == (strategy.name, number)
                ]
                found.append(
                    float(np.mean([right for cell in own for right in _right(cell.folder(folder))]))
                )
            candidates[strategy.name] = int(np.argmax(found))
            accuracies[strategy.name] = max(found)
        pools = [
            pool(comparison, "validation", family, sampling.temperature, comparison.critics[0].name)
            for family in families
        ]
        votes = [
            vote_accuracies(
                cell.folder(folder), comparison.main_budget, {sampling.vote, sampling.best}
            )
            for cell in pools
        ]
        accuracies["weighted_vote"] = float(np.mean([vote[sampling.vote] for _, vote, _ in votes]))
        accuracies["best_of_n"] = float(np.mean([best[sampling.best] for _, _, best in votes]))
        chosen[group] = SelectedSettings(
            sampling, candidates, max(accuracies, key=lambda name: accuracies[name]), accuracies
        )
    return SelectedByGroup(chosen)


def _sampling(
    comparison: SearchComparisonConfig, folder: Path, families: Sequence[ComparedFamily]
) -> SelectedSampling:
    majority: dict[float, float] = {}
    vote: dict[tuple[float, Ranking], float] = {}
    best: dict[tuple[float, Ranking], float] = {}
    for temperature in comparison.temperatures:
        cells = [
            pool(comparison, "validation", family, temperature, comparison.critics[0].name)
            for family in families
        ]
        found = [
            vote_accuracies(cell.folder(folder), comparison.main_budget, RANKINGS) for cell in cells
        ]
        majority[temperature] = float(np.mean([accuracy for accuracy, _, _ in found]))
        for ranking in RANKINGS:
            vote[temperature, ranking] = float(
                np.mean([by_ranking[ranking] for _, by_ranking, _ in found])
            )
            best[temperature, ranking] = float(
                np.mean([by_ranking[ranking] for _, _, by_ranking in found])
            )
    temperature, ranking = max(vote, key=lambda at: vote[at])
    return SelectedSampling(
        majority_temperature=max(majority, key=lambda at: majority[at]),
        temperature=temperature,
        vote=ranking,
        best=max(RANKINGS, key=lambda ranking: best[temperature, ranking]),
    )


def _right(folder: Path) -> list[bool]:
    """Returns whether each question of a run was answered correctly."""
    with TraceStore.read(folder) as store:
        return [bool(row["correct"]) for row in store.visible()]
