"""Reads the finished cells of a comparison and writes comparison.json, comparison.md
and the figures beside them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.files import read_json, storing, write_text
from agents.types import BadDataError
from configs.schema import SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import NO_CRITIC, Cell, is_finished, measured_cells
from graphs.evaluation.search_comparison.choices import SelectedByGroup, groups_of
from graphs.evaluation.search_comparison.labels import read_labelled
from graphs.evaluation.search_comparison.measure import (
    Key,
    Measured,
    Table,
    add_controls,
    add_judged_pool,
    add_plain_pool,
    add_search,
    of_model,
    sample_sizes,
)
from graphs.evaluation.search_comparison.report.figure import draw
from graphs.evaluation.search_comparison.report.summary import summarise
from graphs.evaluation.search_comparison.report.tables import tables
from graphs.evaluation.search_comparison.results import load_results, save_results
from graphs.traces.store import FILE_NAME, TraceStore

PLAN, CHOICES = "plan.json", "choices.json"


def write_report(folder: Path) -> Path:
    """Writes the results of the finished test cells of the comparison in `folder`, and
    returns the file with the tables.

    Raises:
        BadDataError: the folder holds no comparison, its validation runs are
            unfinished, or no test cell is finished.
    """
    if not (folder / PLAN).is_file():
        raise BadDataError(
            f"{folder} holds no {PLAN}; give the folder of a comparison (graphs.run -m "
            "experiment=search_comparison) whose validation runs are finished"
        )
    comparison = SearchComparisonConfig.model_validate(read_json(folder / PLAN))
    choices = SelectedByGroup.load(folder / CHOICES)
    summary, missing = asyncio.run(_summarise(folder, comparison, choices))
    document = {
        "comparison": comparison.model_dump(mode="json"),
        "choices": choices.as_json(),
        "missing": missing,
        "groups": summary,
    }
    write_text(folder / "comparison.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
    with storing(folder, is_folder=True):
        figures = draw(summary, folder)
    path = folder / "comparison.md"
    write_text(path, tables(document, figures))
    return path


async def _summarise(
    folder: Path, comparison: SearchComparisonConfig, choices: SelectedByGroup
) -> tuple[dict[str, Any], list[str]]:
    """Returns the summary of each group, and the names of the missing cells."""
    summaries: dict[str, Any] = {}
    missing: list[str] = []
    for group, families in groups_of(comparison.families).items():
        measured: dict[str, Measured] = {}
        for family in families:
            cells = list(measured_cells(comparison, family, choices))
            finished = [cell for cell in cells if is_finished(cell, folder)]
            missing += [
                str(cell.folder(folder).relative_to(folder))
                for cell in cells
                if cell not in finished
            ]
            if finished:
                measured[family.name] = await _measure(folder, comparison, choices, finished)
        if measured:
            levels = {
                family.name: list(family.levels) for family in families if family.name in measured
            }
            choice, found = choices.of(families[0]), list(measured.values())
            summaries[group] = {
                "families": levels,
                **summarise(comparison, choice, Table.of(found)),
            }
            if not all(one.is_whole(key) for one in found for key in one.outcomes):
                summaries[f"{group}_first"] = {
                    "families": levels,
                    **summarise(comparison, choice, Table.of(found, few=True)),
                }
    if not summaries:
        raise BadDataError(f"{folder}: no test cell is finished; run the comparison first")
    return summaries, missing


async def _measure(
    folder: Path,
    comparison: SearchComparisonConfig,
    choices: SelectedByGroup,
    cells: Sequence[Cell],
) -> Measured:
    """Returns the results of the finished cells of one family. The results of each cell
    are also written beside its traces, and read from there if the traces are missing.
    """
    whole = Measured()
    for cell in cells:
        place = cell.folder(folder)
        if (place / FILE_NAME).is_file():
            measured = await _measure_cell(place, comparison, choices, cell)
            with TraceStore.read(place) as store:
                save_results(place, measured, store.config_hash)
        load_results(place, whole)
    return whole


async def _measure_cell(
    place: Path, comparison: SearchComparisonConfig, choices: SelectedByGroup, cell: Cell
) -> Measured:
    """Returns the results of one cell, from its traces."""
    measured, main = Measured(), comparison.main_budget
    ks, sampling = sample_sizes(comparison), choices.of(cell.family).sampling
    thoughts = await read_labelled(place)
    if cell.method != "pool":
        add_search(
            measured,
            thoughts,
            Key(of_model(cell.method, cell.model), cell.n, cell.critic),
            attributed=cell.n in (main, comparison.budgets_of_searches[-1])
            or cell.method == "greedy",
        )
    elif cell.model:
        add_plain_pool(measured, thoughts, [cell.n], attributed=None, model=cell.model)
    elif cell.critic != NO_CRITIC:
        add_judged_pool(measured, thoughts, ks, cell.critic, sampling, attributed=main)
    else:
        if cell.sampling == sampling.guided:
            await add_controls(measured, thoughts, comparison)
        if cell.sampling == sampling.majority:
            add_plain_pool(measured, thoughts, ks, attributed=main)
    return measured
