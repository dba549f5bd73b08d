"""Retries and replicas of the OpenAI engine, against small false servers and a clock
that does not wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agents.engines import GenerateRequest
from agents.engines.openai.engine import OpenAIEngine
from agents.types import BadReplyError, EngineDiedError, EngineError
from tests.agents.engines.openai.false_server import Clock, FalseServer

REQUEST = GenerateRequest((5, 6))
RETRIED = (408, 425, 429, 500, 502, 503, 504, 599)


async def opened(base_url: str | list[str], clock: Clock, **options: Any) -> OpenAIEngine:
    return await OpenAIEngine.open(
        base_url=base_url, clock=clock, sleep=clock.sleep, rng=random.Random(0), **options
    )


def failing(server: FalseServer, *, times: int, status: int = 503, **options: Any) -> None:
    """Lets a server fail the next requests and answer those behind them."""

    async def handler(body: dict[str, Any]) -> web.Response:
        nonlocal times
        times -= 1
        return web.Response(status=status, **options) if times >= 0 else await server.answer(body)

    server.handler = handler


@pytest.mark.parametrize("status", RETRIED)
async def test_a_failing_server_is_asked_again_with_backoff(
    tiny_model_folder: Path, status: int
) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=6, status=status)
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        assert (await engine.generate(REQUEST)).completions[0].token_ids == (5,)
        assert len(server.requests) == 2 + 7
        for expected, slept in zip((0.25, 0.5, 1.0, 2.0, 4.0, 8.0), clock.slept, strict=True):
            assert expected / 2 <= slept <= expected
        await engine.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422])
async def test_a_refused_request_is_not_sent_again(tiny_model_folder: Path, status: int) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=1, status=status, text="top_p is odd")
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        with pytest.raises(EngineError, match="top_p is odd"):
            await engine.generate(REQUEST)
        assert len(server.requests) == 3 and clock.slept == []
        await engine.close()


@pytest.mark.parametrize("retry_s", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("status", [429, 500])
async def test_retries_end_when_their_time_is_over(
    tiny_model_folder: Path, status: int, retry_s: float
) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=10**6, status=status, text="overloaded")
    async with server.listening() as base_url:
        engine = await opened(base_url, clock, retry_s=retry_s)
        with pytest.raises(EngineError, match="overloaded") as caught:
            await engine.generate(REQUEST)
        assert not isinstance(caught.value, EngineDiedError)
        assert sum(clock.slept) == pytest.approx(retry_s)
        assert all(slept <= 8.0 for slept in clock.slept)
        failing(server, times=0)
        assert len((await engine.generate(GenerateRequest((5, 6), n=2))).completions) == 2, (
            "it is no death"
        )
        await engine.close()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        (
            {
                "Retry-After": "Fri, 31 Jul 2026 10:00:40 GMT",
                "Date": "Fri, 31 Jul 2026 10:00:00 GMT",
            },
            40.0,
        ),
        ({"Retry-After": "999999999"}, 50.0),
        ({"Retry-After": "Fri, 31 Dec 9999 10:00:40 GMT"}, 50.0),
    ],
)
async def test_retry_after_is_honoured_up_to_the_time_left(
    tiny_model_folder: Path, headers: dict[str, str], expected: float
) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=1, status=429, headers=headers)
    async with server.listening() as base_url:
        engine = await opened(base_url, clock, retry_s=50.0)
        await engine.generate(REQUEST)
        assert clock.slept == [expected]
        await engine.close()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "nan",
        "inf",
        "1e3",
        "9" * 5000,
        "Fri, 31 Jul 1066 10:00:40 GMT",
        "Mon, 99 Foo 2026 25:61:61 GMT",
    ],
)
async def test_a_retry_after_that_names_no_time_is_the_backoff(
    tiny_model_folder: Path, value: str
) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=1, status=503, headers={"Retry-After": value})
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        await engine.generate(REQUEST)
        assert len(clock.slept) == 1 and clock.slept[0] <= 0.25
        await engine.close()


async def test_a_malformed_reply_is_retried_a_few_times_only(tiny_model_folder: Path) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=2, status=200, text="<html>starting</html>", content_type="text/html")
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        await engine.generate(REQUEST)
        assert len(server.requests) == 2 + 3
        failing(
            server, times=10**6, status=200, text="<html>starting</html>", content_type="text/html"
        )
        with pytest.raises(BadReplyError):
            await engine.generate(REQUEST)
        assert len(server.requests) == 2 + 3 + 3
        await engine.close()


async def test_a_server_that_does_not_answer_in_time_is_asked_again(
    tiny_model_folder: Path,
) -> None:
    server, clock, ask = FalseServer(tiny_model_folder), Clock(), asyncio.Event()

    async def silent_once(body: dict[str, Any]) -> web.Response:
        if len(server.requests) == 3:
            with suppress(TimeoutError):
                await asyncio.wait_for(ask.wait(), 30)
        return await server.answer(body)

    server.handler = silent_once
    async with server.listening() as base_url:
        engine = await opened(base_url, clock, timeout_s=0.2)
        await engine.generate(REQUEST)
        ask.set()
        assert len(server.requests) == 4 and len(clock.slept) == 1
        await engine.close()


async def test_a_server_that_comes_back_is_found_again(tiny_model_folder: Path) -> None:
    server = FalseServer(tiny_model_folder)
    async with server.listening() as base_url:
        clock = Clock()
        engine = await opened(base_url, clock)
    waiting = asyncio.create_task(engine.generate(REQUEST))
    while len(clock.slept) < 3:
        assert not waiting.done()
        await asyncio.sleep(0)
    again = FalseServer(tiny_model_folder)
    async with again.listening(port=int(base_url.rsplit(":", 1)[1].removesuffix("/v1"))):
        assert len((await waiting).completions) == 1
        await engine.close()


async def test_a_server_that_stays_away_is_a_dead_engine(tiny_model_folder: Path) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    async with server.listening() as base_url:
        engine = await opened(base_url, clock, retry_s=60.0)
    results = await asyncio.gather(
        *(engine.generate(REQUEST) for _ in range(3)), return_exceptions=True
    )
    assert all(
        isinstance(result, EngineDiedError) and result.in_flight == 3 for result in results
    ), results
    assert sum(clock.slept) >= 60.0
    await engine.close()


async def test_cancelling_ends_a_wait_between_attempts_at_once(tiny_model_folder: Path) -> None:
    server = FalseServer(tiny_model_folder)
    failing(server, times=10**6)
    async with server.listening() as base_url:
        pauses = 0

        async def sleep(seconds: float) -> None:
            nonlocal pauses
            pauses += 1
            await asyncio.Event().wait()

        engine = await OpenAIEngine.open(base_url=base_url, sleep=sleep)
        task = asyncio.create_task(engine.generate(REQUEST))
        while not pauses:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.in_flight == 0
        await engine.close()


async def test_many_retries_log_one_warning(
    tiny_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, clock = FalseServer(tiny_model_folder), Clock()
    failing(server, times=30)
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        with caplog.at_level(logging.WARNING, logger="agents.engines.openai.replicas"):
            await asyncio.gather(*(engine.generate(REQUEST) for _ in range(8)))
        assert len(caplog.records) == 1
        await engine.close()


async def test_replicas_share_the_load_and_inherit_from_a_dead_one(tiny_model_folder: Path) -> None:
    servers, clock = [FalseServer(tiny_model_folder), FalseServer(tiny_model_folder)], Clock()
    async with servers[1].listening() as second:
        async with servers[0].listening() as first:
            engine = await opened([first, second], clock)
            await asyncio.gather(*(engine.generate(REQUEST) for _ in range(8)))
            assert [len(server.requests) for server in servers] == [2 + 4, 2 + 4]
        generations = await asyncio.gather(*(engine.generate(REQUEST) for _ in range(8)))
        assert len(generations) == 8
        assert [len(server.requests) for server in servers] == [2 + 4, 2 + 4 + 8]
        assert clock.slept == []
    with pytest.raises(EngineDiedError, match="cannot be reached"):
        await engine.generate(REQUEST)
    await engine.close()


@pytest.mark.parametrize("status", [200, 429, 500, 502])
async def test_a_retry_goes_to_another_replica_without_waiting(
    tiny_model_folder: Path, status: int
) -> None:
    servers, clock = [FalseServer(tiny_model_folder), FalseServer(tiny_model_folder)], Clock()
    failing(servers[0], times=10**6, status=status, text="<html>", headers={"Retry-After": "100"})
    async with servers[0].listening() as first, servers[1].listening() as second:
        engine = await opened([first, second], clock)
        for _ in range(3):
            await engine.generate(REQUEST)
        assert clock.slept == []
        assert [len(server.requests) for server in servers] == [2 + 1, 2 + 3], (
            "the failing one is passed over"
        )
        await engine.close()


async def test_one_busy_replica_beside_a_dead_one_is_no_death(tiny_model_folder: Path) -> None:
    servers, clock = [FalseServer(tiny_model_folder), FalseServer(tiny_model_folder)], Clock()
    failing(servers[1], times=10**6, status=429)
    async with servers[1].listening() as second:
        async with servers[0].listening() as first:
            engine = await opened([first, second], clock, retry_s=90.0)
        with pytest.raises(EngineError) as caught:
            await engine.generate(REQUEST)
        assert not isinstance(caught.value, EngineDiedError)
        failing(servers[1], times=0)
        await engine.generate(REQUEST)
        await engine.close()


async def test_a_server_that_is_busy_at_the_opening_is_waited_for(tiny_model_folder: Path) -> None:
    server, clock, asked = FalseServer(tiny_model_folder), Clock(), 0
    models = server.models

    async def busy_twice(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503) if asked <= 2 else await models(request)

    server.models = busy_twice  # type: ignore[method-assign]
    async with server.listening() as base_url:
        engine = await opened(base_url, clock)
        assert (asked, len(clock.slept)) == (3, 2)
        await engine.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http://[::1/v1",
        "http://h/v1?key=1",
        "http://h:99999999/v1",
    ],
)
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"engine\.base_url"):
        await OpenAIEngine.open(base_url=address)


@pytest.mark.parametrize("key", ["sk 1234", "sk-1234\n", "schlüssel", "sk-\t"])
async def test_a_key_that_no_header_carries_is_refused_unseen(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_KEY", key)
    with pytest.raises(ValueError, match=r"engine\.api_key_env") as caught:
        await OpenAIEngine.open(api_key_env="ODD_KEY")
    assert key not in str(caught.value)
