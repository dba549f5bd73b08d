"""What the entry points share: exit codes, and how errors and start-up are shown.

Exit codes: 0 done; 1 something failed that was not the caller's fault, or not every question could be asked; 2 a wrong option, question or
file; 130 Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from agents.nouns import BadDataError, LongthoughtError, RunConflictError
from configs import ConfigError, RunConfig

console = Console(stderr=True, highlight=False)
"""For everything that is not the result: progress, status, errors. Results go to stdout."""

FAILED, WRONG, INTERRUPTED = 1, 2, 130
TELL_EVERY_S = 15.0
"""Seconds between signs of life while an engine is being started."""


def guarded(main: Callable[[], int]) -> int:
    """Runs an entry point and turns what a user may cause into one message and an exit code; anything else keeps its traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
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
