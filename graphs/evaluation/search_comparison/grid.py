"""Runs a comparison: yields the unfinished cells in order, and selects settings in
between.

The order makes the comparison valid: all validation cells, then the selection, which is
written to disk, then the test cells. Only finished cells are read, so the same command
resumes a stopped comparison.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from agents.files import write_text
from configs import RunConfig, compose, config_hash, from_mapping
from configs.schema import SearchComparisonConfig
from graphs.evaluation.search_comparison.cells import (
    Cell,
    candidate_cells,
    is_finished,
    judged_cells,
    measured_cells,
    sampling_cells,
    words_in_use,
)
from graphs.evaluation.search_comparison.choices import SelectedByGroup, group_of
from graphs.evaluation.search_comparison.choosing import (
    choose,
    choose_sampling,
    samplings_to_judge,
)
from graphs.evaluation.search_comparison.report.report import CHOICES, PLAN, write_report
from graphs.evaluation.search_comparison.results import config_hash_of
from graphs.tasks.pocket import PocketTask
from graphs.terminal.console import console
from graphs.traces.store import FILE_NAME, TraceStore


def carry_out(config: RunConfig, words: Sequence[str]) -> Iterator[RunConfig]:
    """Yields the configuration of every unfinished cell; the caller runs it before it
    takes the next one.

    After the last cell the report is written into the comparison's folder:
    run.output_dir / run.name, or "search_comparison" if the run has no name.

    Args:
        config: the composed `words`, with a `comparison`.
        words: overrides of the command line; each cell adds its own.

    Raises:
        ConfigError: the overrides of a strategy or critic are invalid; all are checked
            before the first run.
        ValueError: a family or a level does not exist.
    """
    assert config.comparison is not None, "a comparison was asked for"
    comparison, base = config.comparison.resolved(), tuple(words)
    folder = config.run.output_dir / (config.run.name or "search_comparison")
    for cell_words in words_in_use(comparison):
        _composed(base, cell_words)
    for family in comparison.families:
        if not family.words:
            PocketTask(families=(family.name,), levels=family.levels, size=1).load()

    def missing(cells: Iterator[Cell]) -> Iterator[RunConfig]:
        for cell in cells:
            configured = _configured(config, base, cell, folder)
            if not _is_done(cell, configured, folder):
                console.print(
                    f"{cell.split} {cell.family.name} {cell.name}", style="bold", markup=False
                )
                yield configured

    plan = json.dumps(comparison.model_dump(mode="json"), indent=2) + "\n"
    if _is_selected(folder, plan):
        choices = SelectedByGroup.load(folder / CHOICES)
    else:
        choices = yield from _select(comparison, folder, missing)
        choices.save(folder / CHOICES)
        write_text(folder / PLAN, plan)
    for family in comparison.families:
        yield from missing(measured_cells(comparison, family, choices))
    print(f"the comparison is in {write_report(folder)}")


def _is_selected(folder: Path, plan: str) -> bool:
    """Whether the settings of this comparison were selected before."""
    files = folder / PLAN, folder / CHOICES
    return all(file.is_file() for file in files) and files[0].read_text() == plan


def _select(
    comparison: SearchComparisonConfig,
    folder: Path,
    missing: Callable[[Iterator[Cell]], Iterator[RunConfig]],
) -> Generator[RunConfig, None, SelectedByGroup]:
    """Yields the unfinished validation cells and returns the settings selected on
    them.
    """
    selecting = [family for family in comparison.families if not family.transfer]
    for family in selecting:
        yield from missing(sampling_cells(comparison, family))
    judged = samplings_to_judge(comparison, folder)
    for family in selecting:
        yield from missing(judged_cells(comparison, family, judged[group_of(family)]))
    samplings = choose_sampling(comparison, folder, judged)
    for family in selecting:
        yield from missing(candidate_cells(comparison, family, samplings))
    return choose(comparison, folder, samplings)


def _configured(config: RunConfig, base: tuple[str, ...], cell: Cell, folder: Path) -> RunConfig:
    """Returns the configuration of a cell."""
    of_family = tuple((cell.family.words or "task=pocket").split())
    mapping = _composed((*base, *of_family), cell.words).model_dump(mode="json")
    place = cell.folder(folder)
    mapping["task"] |= {"split": cell.split} | (
        {"limit": cell.size}
        if cell.family.words
        else {
            "families": [cell.family.name],
            "levels": list(cell.family.levels),
            "size": cell.size,
        }
    )
    if cell.samples_from is not None:
        mapping["policy"]["samples_from"] = str(cell.samples_from.folder(folder))
    mapping["run"] |= {
        "name": place.name,
        "output_dir": str(place.parent),
        "seed": config.run.seed + cell.seed,
    }
    return from_mapping(mapping)


@lru_cache(maxsize=512)
def _composed(base: tuple[str, ...], words: tuple[str, ...]) -> RunConfig:
    return compose([*base, *words])


def _is_done(cell: Cell, configured: RunConfig, folder: Path) -> bool:
    """Whether a cell is finished with this configuration. With another one it is run
    again, and the run reports the difference.
    """
    if not is_finished(cell, folder):
        return False
    if not (cell.folder(folder) / FILE_NAME).is_file():
        return config_hash_of(cell.folder(folder)) == config_hash(configured)
    with TraceStore.read(cell.folder(folder)) as store:
        return store.config_hash == config_hash(configured)
