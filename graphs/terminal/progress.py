"""Progress of a run: a bar in a terminal, or lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from graphs.reasoner.graph import Answer
from graphs.terminal.console import REPORT_EVERY_S, console


class ProgressBar:
    """Shows finished questions, right answers among the scored ones, tokens and time
    left. Without a terminal it prints a line now and then.
    """

    def __init__(
        self, total: int, finished: Iterable[Mapping[str, Any]], *, scored: bool, shown: bool
    ) -> None:
        """`finished`: stored questions, as `TraceStore.visible` yields them. `scored`:
        whether an open question has a gold. `shown`: run.show_progress.
        """
        self._unscored = "thinking" if scored else "not scored"
        self._done = self._right = self._scored = self._tokens = 0
        for row in finished:
            self._count(row["correct"], row["usage"])
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, console=console, disable=not (shown and console.is_terminal)
        )
        self._task: TaskID = self._progress.add_task("thinking", total=total, completed=self._done)
        self._total, self._shown = total, shown
        self._reported_at = time.monotonic()
        self._done_with = threading.Event()
        self._reporter = threading.Thread(target=self._report_silence, daemon=True)

    def __enter__(self) -> ProgressBar:
        self._progress.__enter__()
        if self._shown and not console.is_terminal:
            self._reporter.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done_with.set()
        if self._reporter.is_alive():
            self._reporter.join()
        self._progress.__exit__(*error)

    def advance(self, answer: Answer) -> None:
        self._count(answer.correct, answer.usage.values())
        solved = f"solved {self._right}/{self._scored}" if self._scored else self._unscored
        self._progress.update(
            self._task, advance=1, description=f"{solved}, {self._tokens:,} tokens"
        )
        if not self._shown or console.is_terminal:
            return
        if (
            self._done % max(1, self._total // 10) == 0
            or time.monotonic() - self._reported_at > REPORT_EVERY_S
        ):
            self._report(f"{solved}, {self._tokens:,} tokens")

    def _report_silence(self) -> None:
        """Prints a line each minute in which no question is finished."""
        while not self._done_with.wait(REPORT_EVERY_S):
            if time.monotonic() - self._reported_at > 4 * REPORT_EVERY_S:
                self._report("still thinking")

    def _report(self, what: str) -> None:
        self._reported_at = time.monotonic()
        print(f"{self._done}/{self._total} questions, {what}", file=sys.stderr, flush=True)

    def _count(self, correct: bool | None, usage: Iterable[Mapping[str, Any]]) -> None:
        self._done += 1
        self._scored += correct is not None
        self._right += correct is True
        self._tokens += sum(spent["generated_tokens"] for spent in usage)
