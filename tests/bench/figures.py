"""What a benchmark hands back: tables of figures that were measured in this run, with
their spread and their target.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

Cell = str | float | int | None
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Options:
    """How large a run of the benchmarks is."""

    questions: int = 256
    """Questions of `engine`, `smollm2`, `admission` (at most 64) and, per level,
    `solved`; the other sections choose their own number."""
    repeats: int = 3
    """Rounds over the things that are compared: A B A B A B. One where it must be
    quick."""
    quick: bool = False
    """Everything small, a scripted engine in place of vLLM: the figures mean nothing,
    the code is run."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of one kind. All rows have the same columns."""

    title: str
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Result:
    """What one benchmark found."""

    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader must know to read the tables: what was left out, and why."""


class Target(NamedTuple):
    """What a figure is held against."""

    sign: str
    """"<=" or ">="."""
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether `value` is on the right side of the bound."""
        return value <= self.bound if self.sign == "<=" else value >= self.bound


def figure(what: str, values: Sequence[float], unit: str, target: Target | None = None) -> Row:
    """Returns a row: the median of the repeats, the least and the greatest of them, and
    whether the median meets the target.
    """
    median = statistics.median(values)
    said = (
        ""
        if target is None
        else (f"{target.sign} {target.bound:g} {'met' if target.is_met(median) else 'MISSED'}")
    )
    return {
        "what": what,
        "median": median,
        "min": min(values),
        "max": max(values),
        "unit": unit,
        "target": said,
    }


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Returns the ratio of each pair that was measured side by side, so that what slows
    the machine down slows down both.
    """
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


class Estimate(NamedTuple):
    """A number and its standard error, in the number's unit."""

    value: float
    standard_error: float


def mean(values: Sequence[float]) -> Estimate:
    """Returns the mean of independent observations; the error is NaN of a single
    one.
    """
    n = len(values)
    return Estimate(
        statistics.fmean(values), statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
    )


def ratio_of_sums(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Returns sum(above) / sum(below) over independent pairs, such as tokens per solved
    question; infinite where nothing is below.

    The error is that of the linearised ratio: each pair moves it by (above - ratio x
    below) / mean(below).
    """
    if sum(below) == 0:
        return Estimate(math.inf, math.nan)
    ratio = sum(above) / sum(below)
    residuals = [a - ratio * b for a, b in zip(above, below, strict=True)]
    return Estimate(ratio, mean(residuals).standard_error / statistics.fmean(below))


def ratio_of_ratios(
    first: tuple[Sequence[float], Sequence[float]], second: tuple[Sequence[float], Sequence[float]]
) -> Estimate:
    """Returns `ratio_of_sums(*first) / ratio_of_sums(*second)` of two methods that were
    given the same questions in the same order.

    The error is that of the linearised logarithm, question by question, so that what is
    hard for both cancels.
    """
    r1, r2 = ratio_of_sums(*first).value, ratio_of_sums(*second).value
    if not (math.isfinite(r1) and math.isfinite(r2) and r1 > 0 and r2 > 0):
        return Estimate(math.nan, math.nan)
    (a1, b1), (a2, b2) = first, second
    m1, m2 = statistics.fmean(a1), statistics.fmean(a2)
    moves = [
        (w - r1 * x) / m1 - (y - r2 * z) / m2 for w, x, y, z in zip(a1, b1, a2, b2, strict=True)
    ]
    return Estimate(r1 / r2, r1 / r2 * mean(moves).standard_error)


class CollectorTime:
    """Seconds of CPU that the garbage collector took while `measured` was open."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Listens to the collector for the body of the `with`."""
        gc.callbacks.append(self.listen)
        try:
            yield
        finally:
            gc.callbacks.remove(self.listen)

    def listen(self, phase: str, info: Mapping[str, int]) -> None:
        """Callback of the collector, at its start and its end."""
        if phase == "start":
            self._begun = time.process_time()
        else:
            self.seconds += time.process_time() - self._begun


def finite(value: float) -> float | None:
    """Returns what a table can show and JSON can hold; None for the price of nothing,
    and for the error of one observation.
    """
    return value if math.isfinite(value) else None


def render(table: Table) -> str:
    """Returns a table as text, its columns aligned."""
    if not table.rows:
        return f"{table.title}: nothing"
    columns = [
        name for name in table.rows[0] if any(row[name] not in ("", None) for row in table.rows)
    ]
    cells = [columns, *([_shown(row[name]) for name in columns] for row in table.rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    numeric = [all(not isinstance(row[name], str) for row in table.rows) for name in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        for line in cells
    ]
    return "\n".join([table.title, *(f"  {line.rstrip()}" for line in lines)])


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 10_000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
