"""Selects settings on finished validation cells; all questions of a group weigh
equally."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from configs.schema import ComparedFamily, SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import NO_CRITIC, Cell, candidate_cells, pool
from graphs.evaluation.search_comparison.choices import (
    RANKINGS,
    FamilyGroup,
    Ranking,
    SelectedByGroup,
    SelectedSampling,
    SelectedSettings,
    groups_of,
)
from graphs.evaluation.search_comparison.labels import Labelled, read_labelled
from graphs.evaluation.search_comparison.measure import vote_accuracies
from graphs.traces.store import TraceStore

T = TypeVar("T")


def samplings_to_judge(
    comparison: SearchComparisonConfig, folder: Path
) -> dict[FamilyGroup, list[str]]:
    """Returns the samplings whose validation samples are judged: all, or the one with
    the best majority vote (comparison.guided_sampling).
    """
    every = [sampling.name for sampling in comparison.samplings]
    return {
        group: every
        if comparison.guided_sampling == "selected"
        else [_best_of(_majorities(comparison, folder, families))]
        for group, families in groups_of(comparison.families).items()
        if group != "transfer"
    }


def choose_sampling(
    comparison: SearchComparisonConfig, folder: Path, judged: Mapping[FamilyGroup, Sequence[str]]
) -> dict[FamilyGroup, SelectedSampling]:
    """Returns the sampling and rankings with the best validation accuracy: the
    majority's sampling, and those of the weighted vote.

    Ties go to the first of comparison.samplings and the first of `RANKINGS`.
    """
    return {
        group: _sampling(comparison, folder, families, judged[group])
        for group, families in groups_of(comparison.families).items()
        if group != "transfer"
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
        if group == "transfer":
            continue
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
            pool(comparison, "validation", family, sampling.guided, comparison.critics[0].name)
            for family in families
        ]
        votes = [
            vote_accuracies(
                _labelled(cell, folder), comparison.main_budget, {sampling.vote, sampling.best}
            )
            for cell in pools
        ]
        accuracies["weighted_vote"] = float(np.mean([vote[sampling.vote] for _, vote, _ in votes]))
        accuracies["best_of_n"] = float(np.mean([best[sampling.best] for _, _, best in votes]))
        chosen[group] = SelectedSettings(
            sampling, candidates, max(accuracies, key=lambda name: accuracies[name]), accuracies
        )
    return SelectedByGroup(chosen)


def _majorities(
    comparison: SearchComparisonConfig, folder: Path, families: Sequence[ComparedFamily]
) -> dict[str, float]:
    """Returns the validation accuracy of the majority vote by sampling."""
    accuracies = {}
    for sampling in comparison.samplings:
        found = [
            vote_accuracies(
                _labelled(pool(comparison, "validation", family, sampling.name, NO_CRITIC), folder),
                comparison.main_budget,
                (),
            )
            for family in families
        ]
        accuracies[sampling.name] = float(np.mean([accuracy for accuracy, _, _ in found]))
    return accuracies


def _sampling(
    comparison: SearchComparisonConfig,
    folder: Path,
    families: Sequence[ComparedFamily],
    judged: Sequence[str],
) -> SelectedSampling:
    vote: dict[tuple[str, Ranking], float] = {}
    best: dict[tuple[str, Ranking], float] = {}
    critic = comparison.critics[0].name
    for sampling in judged:
        found = [
            vote_accuracies(
                _labelled(pool(comparison, "validation", family, sampling, critic), folder),
                comparison.main_budget,
                RANKINGS,
            )
            for family in families
        ]
        for ranking in RANKINGS:
            vote[sampling, ranking] = float(np.mean([votes[ranking] for _, votes, _ in found]))
            best[sampling, ranking] = float(np.mean([bests[ranking] for _, _, bests in found]))
    guided, ranking = _best_of(vote)
    return SelectedSampling(
        majority=guided
        if comparison.guided_sampling == "majority"
        else _best_of(_majorities(comparison, folder, families)),
        guided=guided,
        vote=ranking,
        best=max(RANKINGS, key=lambda ranking: best[guided, ranking]),
    )


def _labelled(cell: Cell, folder: Path) -> list[Labelled]:
    return asyncio.run(read_labelled(cell.folder(folder)))


def _best_of(accuracies: Mapping[T, float]) -> T:
    """Returns the key of the largest value, the first of several."""
    return max(accuracies, key=lambda key: accuracies[key])


def _right(folder: Path) -> list[bool]:
    """Returns whether each question of a run was answered correctly."""
    with TraceStore.read(folder) as store:
        return [bool(row["correct"]) for row in store.visible()]
