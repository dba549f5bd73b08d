"""The event loop of the process."""

from __future__ import annotations

import asyncio

import pytest

from agents.engines import loop


async def leave() -> None:
    raise SystemExit(3)


async def leave_in_a_task() -> None:
    await asyncio.create_task(leave())


@pytest.mark.parametrize("coroutine", [leave, leave_in_a_task])
def test_the_loop_outlives_a_task_that_exits(coroutine: object) -> None:
    for _ in range(2):
        with pytest.raises(SystemExit):
            loop.submit(coroutine()).result(timeout=10)  # type: ignore[operator]
