"""Admission of requests to an engine: counts those in flight, holds new ones while
weights change, and fails all when the engine stops.

Every engine runs every request through `Gate.run`, so cancellation, death, closing and
publishing behave the same for all engines. Not thread-safe: a gate belongs to its
engine's event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from agents.types import EngineDiedError

T = TypeVar("T")


class Gate:
    """Admits requests to an engine.

    Laws: a cancelled request has left the gate when its caller sees the cancellation;
    after `shut` every request, waiting or running, raises EngineDiedError.
    """

    def __init__(self, name: str, *, limit: int | None = None) -> None:
        """`name`: the engine's name in errors. `limit`: maximum number of requests that
        run at once; the others wait.
        """
        self._name = name
        self._slots = _Slots(limit) if limit is not None else None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = asyncio.Event()
        self._open.set()
        self._publishing = asyncio.Lock()
        self._death: tuple[str, int] | None = None

    @property
    def in_flight(self) -> int:
        """Number of admitted requests that have not ended, including those that wait
        for a slot.
        """
        return len(self._tasks)

    @property
    def is_shut(self) -> bool:
        """Whether the engine is closed or dead."""
        return self._death is not None

    async def run(self, request: Callable[[], Awaitable[T]], *, priority: int = 0) -> T:
        """Runs one request as soon as no weights are being published and a slot is
        free; slots go to the smallest `priority` first.

        Raises:
            EngineDiedError: the gate is shut, or is shut before the request ends.
        """
        while not self._open.is_set() and not self.is_shut:
            await self._open.wait()
        if self._death is not None:
            raise EngineDiedError(f"{self._name} {self._death[0]}; open a new engine", in_flight=0)
        task = asyncio.ensure_future(self._run_in_slot(request, priority))
        self._tasks.add(task)
        self._idle.clear()
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._death is None or (current is not None and current.cancelling()):
                raise
            raise self._died() from None
        finally:
            self._tasks.discard(task)
            if not self._tasks:
                self._idle.set()

    async def _run_in_slot(self, request: Callable[[], Awaitable[T]], priority: int) -> T:
        if self._slots is None:
            return await request()
        await self._slots.acquire(priority)
        try:
            return await request()
        finally:
            self._slots.release()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Waits until the engine is idle, and holds new requests until the context
        exits.

        Raises:
            EngineDiedError: the gate is shut.
        """
        async with self._publishing:
            self._open.clear()
            try:
                await self._idle.wait()
                if self._death is not None:
                    raise self._died()
                yield
            finally:
                self._open.set()

    def shut(self, reason: str) -> EngineDiedError:
        """Fails all requests in flight except the caller's own, and returns an error
        for the caller to raise. Idempotent.

        `reason` completes the sentence "<engine> ...": "was closed", "died: out of
        memory".
        """
        if self._death is None:
            self._death = (reason, len(self._tasks))
            for task in self._tasks:
                if task is not asyncio.current_task():
                    task.cancel()
            self._open.set()
        return self._died()

    async def close(self, reason: str = "was closed") -> None:
        """Shuts the gate and waits until every request has ended."""
        self.shut(reason)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _died(self) -> EngineDiedError:
        assert self._death is not None
        reason, lost = self._death
        return EngineDiedError(
            f"{self._name} {reason} with {lost} requests in flight", in_flight=lost
        )


class _Slots:
    """A semaphore that admits waiters with the smallest priority number first, ties in
    order of arrival.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """Heap of (priority, arrival number, future that resolves when the waiter gets
        a slot)."""
        self._arrivals = itertools.count()

    async def acquire(self, priority: int) -> None:
        """Waits for a slot and takes it."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was granted at the same moment
                self.release()
            raise

    def release(self) -> None:
        """Hands a slot to the next waiter."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # otherwise the waiter was cancelled
                turn.set_result(None)
                return
        self._free += 1
