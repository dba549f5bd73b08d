"""What the entry points share: exit codes, and how errors and start-up are shown.

Exit codes: 0 done; 1 something failed that was not the caller's fault, or not every
question could be asked; 2 a wrong option, question or file; 130 Ctrl-C.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console

from agents.types import BadDataError, LongthoughtError, RunConflictError, StorageError
from configs import ConfigError, RunConfig
from configs.schema import RunOptions
from graphs.traces.store import TraceStore, find_run

if TYPE_CHECKING:
    from graphs.reasoner.graph import Progress

console = Console(stderr=True, highlight=False)
"""For everything that is not the result: progress, status, errors. Results go to
stdout."""

FAILED, WRONG, INTERRUPTED = 1, 2, 130
METRICS = "metrics.json"
"""A finished run's metrics; a run without them is unfinished."""
REPORT_EVERY_S = 15.0
"""Seconds between signs of life, where no terminal shows them all the time."""


def guarded(main: Callable[[], int]) -> int:
    """Runs an entry point and turns what a user may cause into one message and an exit
    code; anything else keeps its traceback.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show a sign of an answer shows the rest of it
            stream.reconfigure(errors="replace")
    try:
        return _written_out(main)
    except (ConfigError, RunConflictError, BadDataError, ValueError) as error:
        console.print(f"error: {words_of(error)}", style="red", markup=False, soft_wrap=True)
        _print_notes(error)
        return WRONG
    except LongthoughtError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        _print_notes(error)
        return FAILED
    except KeyboardInterrupt as error:
        console.print("stopped.", markup=False)
        _print_notes(error)
        return INTERRUPTED
    except (ConnectionError, TimeoutError):
        raise  # of a network; engines turn those that they know into EngineError
    except OSError as error:
        console.print(f"error: {_in_words(error)}", style="red", markup=False, soft_wrap=True)
        return WRONG if isinstance(error, FileNotFoundError) else FAILED


def words_of(error: Exception) -> str:
    """Returns the words of an error for a user: of those that pydantic raises the
    reasons alone.
    """
    if isinstance(error, ValidationError):
        return "; ".join(
            found["msg"].removeprefix("Value error, ")
            for found in error.errors(include_url=False, include_input=False)
        )
    return str(error)


def _print_notes(error: BaseException) -> None:
    """Prints what was added to an error on its way, such as how to go on."""
    for note in getattr(error, "__notes__", ()):
        console.print(note, markup=False, soft_wrap=True)


def _written_out(main: Callable[[], int]) -> int:
    """Runs `main` and writes out what it has printed, so that a full disk behind stdout
    is an error of the command.

    A reader of stdout that has gone (`| head`) is none: the rest is dropped.

    Raises:
        StorageError: stdout cannot be written to.
    """
    try:
        code = main()
        if sys.stdout is not None:  # it is where the shell closed it: `>&-`
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or not _is_stdout_stuck():
            raise
        if isinstance(error, BrokenPipeError):
            return FAILED
        raise StorageError(
            "stdout", error.strerror or str(error), "free some space, or send the output elsewhere"
        ) from error
    return code


def _is_stdout_stuck() -> bool:
    """Whether stdout takes no more; what it still holds is then dropped, for the
    interpreter would try again to write it at its end.
    """
    try:
        sys.stdout.write(" ")
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            descriptor = os.open(os.devnull, os.O_WRONLY)
            os.dup2(descriptor, sys.stdout.fileno())
            os.close(descriptor)
        return True
    return False


def _in_words(error: OSError) -> str:
    """Returns an error of the operating system as one sentence with the file that it is
    about.
    """
    if error.filename is None:
        return f"{error}; check the permissions and the space on the disks in use"
    return (
        f"cannot use {error.filename}: {error.strerror}; check its path, its permissions and the "
        "space on its disk"
    )


def counted(count: int, units: str) -> str:
    """Returns a number with what it counts: "1 question", "2 questions"."""
    return f"{count} {units.removesuffix('s') if count == 1 else units}"


def resuming(folder: Path) -> str:
    """Returns the options with which graphs.run resumes the run of a folder."""
    elsewhere = (
        f" run.output_dir={folder.parent}" if folder.parent != RunOptions().output_dir else ""
    )
    return f"run={folder.name}{elsewhere}"


def run_folder(run: Path) -> Path:
    """Returns the directory of a run, given by it or by its name; warns of one that is
    unfinished, or whose thoughts were deleted.

    Raises:
        BadDataError: there is no such run.
        BadTraceError, StorageError: its store cannot be read.
    """
    folder = find_run(run)
    with TraceStore.read(folder) as store:
        deleted_on = store.thoughts_deleted_on
    if deleted_on is not None:
        message = (
            f"warning: the thoughts of run {folder} were deleted on {deleted_on}; what a user may "
            "see is left"
        )
        console.print(message, style="yellow", markup=False, soft_wrap=True)
    elif not (folder / METRICS).is_file():
        message = (
            f"warning: run {folder} is incomplete; early results are biased towards easy questions."
            f" Resume it with longthought run {resuming(folder)}"
        )
        console.print(message, style="yellow", markup=False, soft_wrap=True)
    return folder


_DOING_AFTER = {
    "screen": "choosing where to go on",
    "select": "suggesting steps",
    "suggest": "judging steps",
    "critique": "reflecting",
    "reflect": "choosing where to go on",
    "derive": "answering",
    "answer": "summarizing",
    "summarize": "checking the rules",
    "check": "storing the thought",
    "record": "done",
}
"""What most likely goes on after a phase has ended; `Progress.phase` names the phase
that ended."""


@contextmanager
def thinking() -> Iterator[Callable[[Progress], None]]:
    """Yields what shows where a thought is and since when, never what it says: a status
    line in a terminal, elsewhere a line every few seconds, also where one request takes
    long.
    """
    status = console.status("thinking") if console.is_terminal else None
    doing, done, began = "thinking", threading.Event(), time.monotonic()

    def words() -> str:
        return f"{doing}, {time.monotonic() - began:.0f} s"

    def show(progress: Progress) -> None:
        nonlocal doing
        steps = progress.nodes - 1
        where = _DOING_AFTER.get(progress.phase, progress.phase)
        doing = f"{where} ({steps} step{'' if steps == 1 else 's'} tried)" if steps else where
        if status is not None:
            status.update(words())

    def tell() -> None:
        while not done.wait(1.0 if status is not None else REPORT_EVERY_S):
            if status is not None:
                status.update(words())
            else:
                print(f"{words()} ...", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    with status or nullcontext():
        teller.start()
        try:
            yield show
        finally:
            done.set()
            teller.join()


@contextmanager
def starting(config: RunConfig) -> Iterator[None]:
    """Shows that the engine is being started: a spinner in a terminal, elsewhere a line
    now and every few seconds.
    """
    engine = config.engine_of("policy")
    what = f"starting the {engine.kind} engine" + (
        " (about half a minute on a CPU)" if engine.kind == "vllm" else ""
    )
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        print(f"{what} ...", file=sys.stderr, flush=True)
        done, began = threading.Event(), time.monotonic()

        def tell() -> None:
            while not done.wait(REPORT_EVERY_S):
                print(
                    f"still starting, {time.monotonic() - began:.0f} s ...",
                    file=sys.stderr,
                    flush=True,
                )

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()
