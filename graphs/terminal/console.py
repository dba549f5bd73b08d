"""Exit codes, errors and status lines of the commands.

Exit codes: 0 done; 1 a failure that the caller did not cause, or a question that could
not be asked; 2 an invalid option, question or file; 130 Ctrl-C.
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
from datetime import datetime
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
"""Prints progress, status and errors to stderr. Results go to stdout."""

FAILED, WRONG, INTERRUPTED = 1, 2, 130
METRICS = "metrics.json"
"""File of a finished run's metrics; an unfinished run has none."""
REPORT_EVERY_S = 15.0
"""Seconds between progress lines if stderr is no terminal."""


def guarded(main: Callable[[], int]) -> int:
    """Runs an entry point and turns every error that a user may cause into one message
    and an exit code. Other errors keep their traceback.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a character that the terminal cannot show becomes "?"
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
        raise  # network errors that no engine turned into an EngineError
    except OSError as error:
        console.print(f"error: {_in_words(error)}", style="red", markup=False, soft_wrap=True)
        return WRONG if isinstance(error, FileNotFoundError) else FAILED


def words_of(error: Exception) -> str:
    """Returns the message of an error; of a pydantic error the reasons alone."""
    if isinstance(error, ValidationError):
        return "; ".join(
            found["msg"].removeprefix("Value error, ")
            for found in error.errors(include_url=False, include_input=False)
        )
    return str(error)


def _print_notes(error: BaseException) -> None:
    """Prints the notes of an error, such as the options that resume a run."""
    for note in getattr(error, "__notes__", ()):
        console.print(note, markup=False, soft_wrap=True)


def _written_out(main: Callable[[], int]) -> int:
    """Runs `main` and flushes stdout, so that a full disk behind stdout is an error of
    the command. If the reader of stdout has closed it (`| head`), the rest is dropped.

    Raises:
        StorageError: stdout cannot be written to.
    """
    try:
        code = main()
        if sys.stdout is not None:  # None if the shell closed it: `>&-`
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
    """Whether writing to stdout fails. If so, its buffer is dropped, since the
    interpreter would write it again at exit.
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
    """Returns an error of the operating system as one sentence that names the file."""
    if error.filename is None:
        return f"{error}; check the permissions and the space on the disks in use"
    return (
        f"cannot use {error.filename}: {error.strerror}; check its path, its permissions and the "
        "space on its disk"
    )


def counted(count: int, units: str) -> str:
    """Returns a number with its unit: "1 question", "2 questions"."""
    return f"{count} {units.removesuffix('s') if count == 1 else units}"


def resuming(folder: Path) -> str:
    """Returns the options with which graphs.run resumes the run of a folder."""
    elsewhere = (
        f" run.output_dir={folder.parent}" if folder.parent != RunOptions().output_dir else ""
    )
    return f"run={folder.name}{elsewhere}"


def run_name(options: RunOptions, what: str) -> str:
    """Returns run.name, or a new name: the time and `what` is run."""
    return options.name or f"{datetime.now():%Y%m%d-%H%M%S}-{what}"


def run_folder(run: Path) -> Path:
    """Returns the directory of a run, given by directory or name. Warns if the run is
    incomplete or its thoughts were deleted.

    Raises:
        BadDataError: there is no such run.
        BadTraceError, StorageError: its store cannot be read.
    """
    folder = find_run(run)
    with TraceStore.read(folder) as store:
        deleted_on = store.thoughts_deleted_on
    if deleted_on is not None:
        message = (
            f"warning: the thoughts of run {folder} were deleted on {deleted_on}; only what a user "
            "may see is left"
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
    "suggest": "judging steps",
    "critique": "reflecting",
    "derive": "answering",
    "answer": "summarizing",
    "summarize": "checking the rules",
    "check": "storing the thought",
    "record": "done",
}
"""Phase that ended (`Progress.phase`) to the most likely next activity, if that is not
thinking."""


@contextmanager
def thinking() -> Iterator[Callable[[Progress], None]]:
    """Yields a function that shows the phase and the time of a thought, never its
    content: a status line in a terminal, elsewhere a line every few seconds.
    """
    status = console.status("thinking") if console.is_terminal else None
    doing, done, began = "thinking", threading.Event(), time.monotonic()

    def words() -> str:
        return f"{doing}, {time.monotonic() - began:.0f} s"

    def show(progress: Progress) -> None:
        nonlocal doing
        steps = progress.nodes - 1
        if steps < 2:  # one reply, or nothing yet
            return
        where = _DOING_AFTER.get(progress.phase, "thinking")
        doing = f"{where} ({steps} steps tried)"
        if status is not None:
            status.update(words())

    def report() -> None:
        while not done.wait(1.0 if status is not None else REPORT_EVERY_S):
            if status is not None:
                status.update(words())
            else:
                print(f"{words()} ...", file=sys.stderr, flush=True)

    reporter = threading.Thread(target=report, daemon=True)
    with status or nullcontext():
        reporter.start()
        try:
            yield show
        finally:
            done.set()
            reporter.join()


@contextmanager
def starting(config: RunConfig) -> Iterator[None]:
    """Shows that the engine starts: a spinner in a terminal, elsewhere a line at once
    and every few seconds.
    """
    engine = config.engine_of("policy")
    what = (
        "connecting to the model server"
        if engine.kind == "openai"
        else f"starting the {engine.kind} engine"
        + (" (about half a minute on a CPU)" if engine.kind == "vllm" else "")
    )
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        print(f"{what} ...", file=sys.stderr, flush=True)
        done, began = threading.Event(), time.monotonic()

        def report() -> None:
            while not done.wait(REPORT_EVERY_S):
                print(
                    f"still {what.partition(' ')[0]}, {time.monotonic() - began:.0f} s ...",
                    file=sys.stderr,
                    flush=True,
                )

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield
        finally:
            done.set()
            reporter.join()
