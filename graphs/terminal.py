"""What the entry points share: exit codes, and how errors and start-up are shown.

Exit codes: 0 done; 1 something failed that was not the caller's fault, or not every question could be asked; 2 a wrong option, question or
file; 130 Ctrl-C.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from agents.nouns import BadDataError, LongthoughtError, RunConflictError
from configs import ConfigError, RunConfig
from configs.schema import RunOptions
from graphs.traces.store import find_run

if TYPE_CHECKING:
    from graphs.reasoner import Progress

console = Console(stderr=True, highlight=False)
"""For everything that is not the result: progress, status, errors. Results go to stdout."""

FAILED, WRONG, INTERRUPTED = 1, 2, 130
TELL_EVERY_S = 15.0
"""Seconds between signs of life, where no terminal shows them all the time."""


def guarded(main: Callable[[], int]) -> int:
    """Runs an entry point and turns what a user may cause into one message and an exit code; anything else keeps its traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign of an answer shows the rest of it
    try:
        return main()
    except (ConfigError, RunConflictError, BadDataError, ValueError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return WRONG
    except LongthoughtError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        console.print("stopped.", markup=False)
        return INTERRUPTED


def resuming(folder: Path) -> str:
    """Returns the options with which graphs.run resumes the run of a folder."""
    elsewhere = f" run.output_dir={folder.parent}" if folder.parent != RunOptions().output_dir else ""
    return f"run={folder.name}{elsewhere}"


def run_folder(run: Path) -> Path:
    """Returns the directory of a run, given by it or by its name; tells of a run that was stopped before its last question, or goes on.

    Raises:
        BadDataError: there is no such run.
    """
    folder = find_run(run)
    if not (folder / "metrics.json").is_file():
        message = f"warning: run {folder} is not finished, and what is finished first is what is easiest; resume it with {resuming(folder)}"
        console.print(message, style="yellow", markup=False, soft_wrap=True)
    return folder


_DOING = {
    "screen": "reading",
    "select": "choosing where to go on",
    "suggest": "suggesting steps",
    "critique": "judging steps",
    "reflect": "reflecting",
    "derive": "going over the thought",
    "answer": "answering",
    "summarize": "summarizing",
    "check": "checking the rules",
    "record": "done",
}


@contextmanager
def thinking() -> Iterator[Callable[[Progress], None]]:
    """Yields what shows where a thought is, never what it says: a status line in a terminal, elsewhere a line every few seconds."""
    status = console.status("thinking") if console.is_terminal else None
    told = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal told
        where = f"{_DOING.get(progress.phase, progress.phase)} (round {progress.rounds}, {progress.nodes - 1} steps)"
        if status is not None:
            status.update(where)
        elif time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"{where} ...", file=sys.stderr, flush=True)

    with status or nullcontext():
        yield show


@contextmanager
def starting(config: RunConfig) -> Iterator[None]:
    """Shows that the engine is being started: a spinner in a terminal, elsewhere a line now and every few seconds."""
    engine = config.engine_of("policy")
    what = f"starting the {engine.kind} engine" + (" (about half a minute on a CPU)" if engine.kind == "vllm" else "")
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        print(f"{what} ...", file=sys.stderr, flush=True)
        done, began = threading.Event(), time.monotonic()

        def tell() -> None:
            while not done.wait(TELL_EVERY_S):
                print(f"still starting, {time.monotonic() - began:.0f} s ...", file=sys.stderr, flush=True)

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()
