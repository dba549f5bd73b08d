"""The clock that skips waiting: what it charges, and in which order things happen."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.bench.clock import run_skipping, skipping_loop


def test_waiting_is_charged_and_not_waited_for() -> None:
    async def sleep() -> float:
        start = skipping_loop().time()
        await asyncio.sleep(3600)
        return skipping_loop().time() - start

    start = time.monotonic()
    charged = run_skipping(sleep())
    assert charged >= 3600 > time.monotonic() - start


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[int] = []

    async def sleeper(hours: int) -> None:
        await asyncio.sleep(3600 * hours)
        woken.append(hours)

    async def all_of_them() -> None:
        await asyncio.gather(*(sleeper(hours) for hours in (3, 1, 2)))

    run_skipping(all_of_them())
    assert woken == [1, 2, 3]


def test_computing_is_charged_outside_of_uncharged_only() -> None:
    def compute() -> float:
        start = time.process_time()
        sum(range(300_000))
        return time.process_time() - start

    async def charges() -> None:
        loop = skipping_loop()
        before = loop.time()
        with loop.uncharged(), loop.uncharged():
            inside = loop.time()
            compute()
            assert loop.time() == inside >= before
        between = loop.time()
        computed = compute()
        assert loop.time() - between >= computed > 0
        assert loop.time() >= between

    run_skipping(charges())


async def test_an_ordinary_loop_is_refused() -> None:
    with pytest.raises(TypeError, match="run_skipping"):
        skipping_loop()
