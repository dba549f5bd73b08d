"""A small pool of killable processes, for functions that may hang, exhaust memory or
set signals.

A call runs in a child with a new interpreter (not a fork: the parent may hold CUDA,
threads, an engine). The child is reused for later calls and killed when a call exceeds
its time limit. Children start at the first call and end with `close`. If the parent
dies, an idle child ends at the end of its input and a busy one by an alarm.

The function is given by name ("module:function") so that nothing is pickled; arguments
and result are JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agents.types import LongthoughtError


class CallTimedOutError(LongthoughtError):
    """A call was killed at its time limit."""


class CallFailedError(LongthoughtError):
    """A call raised in the child, the child died (out of memory, a crash in C code), or
    it never became ready.
    """


class ProcessPool:
    """Calls one function in up to `size` child processes; may be used from any thread
    and any event loop.
    """

    def __init__(
        self,
        function: str,
        *,
        size: int = 2,
        timeout_s: float = 5.0,
        start_timeout_s: float = 120.0,
        memory_gib: float = 4.0,
    ) -> None:
        """Does not start a process yet.

        Args:
            function: "module:function", importable in a fresh interpreter with this
                one's sys.path.
            size: largest number of concurrent calls. timeout_s: time limit of one call,
                in seconds, without waiting for a free child and starting it.
            start_timeout_s: time limit of a child's start, with the import of the
                module, in seconds.
            memory_gib: address space of a child, in GiB, where the system can limit it.
        """
        if size < 1 or timeout_s <= 0:
            raise ValueError(
                f"size ({size}) must be at least 1 and timeout_s ({timeout_s}) above 0"
            )
        self.function = function
        self.timeout_s = timeout_s
        self.start_timeout_s = start_timeout_s
        self.memory_gib = memory_gib
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="longthought-pool")
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._closed = False
        self._lock = threading.Lock()

    async def call(self, *arguments: Any) -> Any:
        """Returns function(*arguments).

        Raises:
            CallTimedOutError, CallFailedError: the call timed out or failed; the pool
            stays usable. RuntimeError: the pool is closed.
        """
        if self._closed:
            raise RuntimeError(f"the pool of {self.function} is closed; make a new one")
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, arguments
        )

    async def close(self) -> None:
        """Waits for running calls (at most their time limit) and ends every child.
        Idempotent.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        while not self._idle.empty():
            if (child := self._idle.get()) is not None:
                child.end()

    def _call(self, arguments: tuple[Any, ...]) -> Any:
        child = self._idle.get()
        try:
            if child is not None and child.process.poll() is not None:  # it died while it was idle
                child.end()
                child = None
            if child is None:
                child = _Child(self.function, self.start_timeout_s, self.timeout_s, self.memory_gib)
            return child.call(arguments, self.timeout_s)
        finally:
            self._idle.put(child if child is not None and child.process.poll() is None else None)


class _Child:
    """One child process; used by one thread at a time."""

    def __init__(
        self, function: str, start_timeout_s: float, timeout_s: float, memory_gib: float
    ) -> None:
        # -P: a folder named "agents" in the working directory must not shadow the
        # package.
        command = [
            sys.executable,
            "-P",
            "-m",
            "agents.answers.checkers.child",
            function,
            str(2 * timeout_s + 10),
            str(memory_gib),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            ready = self._read(start_timeout_s)
        except CallTimedOutError:
            raise CallFailedError(
                f"the process for {function} was not ready after {start_timeout_s:g} s"
            ) from None
        if "error" in ready:
            self.end()
            raise CallFailedError(f"{function} cannot be called: {ready['error']}")

    def call(self, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """Returns the function's result; the child is dead after a timeout."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(arguments).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            self.end()
            raise CallFailedError(f"the checking process is gone: {error}") from error
        reply = self._read(timeout_s)
        if "error" in reply:
            raise CallFailedError(reply["error"])
        return reply["result"]

    def _read(self, timeout_s: float) -> dict[str, Any]:
        """Returns the child's next message. The child writes whole lines, so `readline`
        does not block once a line has begun.
        """
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                self.end()
                raise CallTimedOutError(f"killed after {timeout_s:g} s")
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            self.end()
            raise CallFailedError(
                f"the checking process died with exit code {self.process.returncode}"
            )
        message: dict[str, Any] = json.loads(line)
        return message

    def end(self) -> None:
        """Kills the process and waits for it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unflushed input has no reader
                    pipe.close()
