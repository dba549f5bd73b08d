"""Progress of a stage: a bar in a terminal, occasional lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from graphs.terminal.console import console

_LINES = 10  # approximate number of lines per stage without a terminal


class StageProgress:
    """Shows how far a stage is. `with StageProgress("SFT", 20) as progress:
    progress.step(3, 20, "loss 0.4")`.
    """

    def __init__(self, title: str, total: int, *, shown: bool = True) -> None:
        self.title = title
        self.total = total
        self.shown = shown
        self._done = 0
        self._start = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._bar = Progress(*columns, console=console, disable=not (shown and console.is_terminal))
        self._task = self._bar.add_task(title, total=total, text="")

    def __enter__(self) -> Self:
        if self.shown and not console.is_terminal:
            print(f"{self.title} ...", file=sys.stderr, flush=True)
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, traceback)
        if self.shown and kind is None and not console.is_terminal:
            print(
                f"{self.title}: done in {time.monotonic() - self._start:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    def step(self, done: int, total: int, text: str = "") -> None:
        """Shows that `done` of `total` steps are done."""
        self._done, self.total = done, total
        self._bar.update(self._task, completed=done, total=total, text=text)
        if self.shown and not console.is_terminal and done % max(1, total // _LINES) == 0:
            print(f"  {self.title} {done}/{total} {text}".rstrip(), file=sys.stderr, flush=True)

    def advance(self, text: str = "") -> None:
        """Shows that one more step is done."""
        self.step(self._done + 1, self.total, text)
