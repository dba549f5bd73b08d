"""The pool of killable processes: whatever a call does, the caller gets a typed outcome
and the pool goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from agents.answers import CallFailedError, CallTimedOutError, ProcessPool

FUNCTION = "tests.agents.answers.broken:misbehave"


@pytest.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(FUNCTION, size=1, timeout_s=0.3)
    yield pool
    await pool.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_hanging_call_is_killed_and_the_pool_goes_on(pool: ProcessPool) -> None:
    pid = int(await pool.call("pid"))
    with pytest.raises(CallTimedOutError, match=r"0\.3 s"):
        await pool.call("hang")
    assert not is_alive(pid)
    assert await pool.call("still", "here") == "still here"


async def test_a_child_that_dies_is_replaced(pool: ProcessPool) -> None:
    with pytest.raises(CallFailedError, match="exit code 3"):
        await pool.call("die")
    pid = int(await pool.call("pid"))
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet noticed by the pool
    assert await pool.call("still", "here") == "still here"


async def test_an_exception_leaves_the_child_alive(pool: ProcessPool) -> None:
    pid = await pool.call("pid")
    with pytest.raises(CallFailedError, match="RuntimeError: as told"):
        await pool.call("raise")
    assert await pool.call("pid") == pid


async def test_what_a_function_prints_is_no_result(pool: ProcessPool) -> None:
    assert await pool.call("print") == "print"


async def test_calls_in_parallel_get_their_own_results() -> None:
    pool = ProcessPool(FUNCTION, size=2, timeout_s=30)
    results = await asyncio.gather(*(pool.call("call", str(number)) for number in range(40)))
    await pool.close()
    assert results == [f"call {number}" for number in range(40)]


async def test_close_ends_the_children_and_can_be_repeated() -> None:
    pool = ProcessPool(FUNCTION, size=2)
    pid = int(await pool.call("pid"))
    await pool.close()
    await pool.close()
    assert not is_alive(pid)
    with pytest.raises(RuntimeError, match="closed"):
        await pool.call("pid")


async def test_a_pool_that_was_never_used_starts_no_process() -> None:
    pool = ProcessPool("nonsense:nothing")
    await pool.close()


async def test_a_function_that_cannot_be_imported_is_a_failed_call() -> None:
    pool = ProcessPool("agents.answers.nothing:here", size=1)
    for _ in range(2):
        with pytest.raises(CallFailedError, match="ModuleNotFoundError"):
            await pool.call()
    await pool.close()
