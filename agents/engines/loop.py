"""The one event loop that owns engines and graph runs.

vLLM's AsyncLLM belongs to the loop in which it was created, and trainers and scripts
are synchronous. So a process has one daemon thread with one loop, and synchronous code
calls coroutines through `run`. Never call `run` from inside that loop: it would wait
for itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def get_loop() -> asyncio.AbstractEventLoop:
    """Returns the process's loop; the first call starts its thread."""
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(
                target=_serve, args=[_loop], name="longthought-loop", daemon=True
            ).start()
        return _loop


def _serve(served: asyncio.AbstractEventLoop) -> None:
    """Runs the loop until it is stopped. SystemExit in a task leaves `run_forever`; the
    future of the task has it as well, and every other task goes on.
    """
    while True:
        try:
            served.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue
        return


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Starts a coroutine on the loop and returns its future at once."""
    return asyncio.run_coroutine_threadsafe(coroutine, get_loop())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the loop and waits for its result. Ctrl-C cancels it and
    waits for its clean-up; a second Ctrl-C does not wait.

    Raises:
        RuntimeError: called from the loop's own thread.
    """
    if _loop is not None and threading.current_thread().name == "longthought-loop":
        coroutine.close()
        raise RuntimeError(
            "agents.engines.loop.run would wait for itself; await the coroutine instead"
        )
    task: asyncio.Task[Any] | None = None

    async def watched() -> T:
        nonlocal task
        task = asyncio.current_task()
        return await coroutine

    async def cancel() -> None:
        assert task is not None, "the loop starts coroutines in order of submission"
        task.cancel()

    future = submit(watched())
    try:
        return future.result()
    except KeyboardInterrupt:
        submit(cancel())
        # `future.cancel()` would resolve the future before the coroutine has cleaned up
        wait([future])
        raise
