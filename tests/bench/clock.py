"""An event loop that skips waiting times and adds them to its clock.

Its time is the CPU time that this process has used, plus the sleeps that it has
skipped. So an hour of a simulated server passes in the time that our own code needs to
drive it, that code is charged at what it really costs, and another process on the same
core changes nothing: a result is a wall time on a machine of one's own. What stands in
for another machine (the simulated server) runs under `uncharged`, which stops the
clock.

It is right for work in one thread without sockets: nothing that the loop waits for may
happen outside of it.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class _ImpatientSelector(selectors.DefaultSelector):
    """Never waits for a timer; adds up what the timers would have cost."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer is set: only another thread could wake the loop
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.skipped_s += max(0.0, timeout)
        return ready


class SkippingLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        self._uncharged_s = 0.0
        self._stopped_at: float | None = None
        super().__init__(self._impatient)

    def time(self) -> float:
        """Returns CPU seconds of this process that are charged, plus seconds of sleep
        that were skipped.
        """
        return self.cpu_seconds + self._impatient.skipped_s

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of this process outside of `uncharged`."""
        return (
            time.process_time() if self._stopped_at is None else self._stopped_at
        ) - self._uncharged_s

    @contextmanager
    def uncharged(self) -> Iterator[None]:
        """Stops the clock for the body of the `with`, which must not await."""
        if self._stopped_at is not None:  # inside another one
            yield
            return
        self._stopped_at = time.process_time()
        try:
            yield
        finally:
            self._uncharged_s += time.process_time() - self._stopped_at
            self._stopped_at = None


def run_skipping(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a new `SkippingLoop`."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(coroutine)


def skipping_loop() -> SkippingLoop:
    """Returns the running loop.

    Raises:
        TypeError: it is another kind of loop.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SkippingLoop):
        raise TypeError(
            f"{type(loop).__name__} keeps real time; start with tests.bench.clock.run_skipping"
        )
    return loop
