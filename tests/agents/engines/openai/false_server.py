"""A small false model server, and a clock that does not wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Handler = Callable[[dict[str, Any]], Awaitable[web.Response]]
RawReply = Callable[[str, dict[str, Any]], bytes]


class FalseServer:
    """Speaks as vLLM does, as far as the engine listens; `handler` answers completion
    requests after the two of `open`.
    """

    def __init__(self, folder: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.handler: Handler = self.answer
        self._folder = folder

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"data": [{"id": "tiny", "root": str(self._folder), "max_model_len": 512}]}
        )

    async def completions(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        return await (self.answer(body) if len(self.requests) <= 2 else self.handler(body))

    async def answer(self, body: dict[str, Any]) -> web.Response:
        """Returns n completions of token 5, each as long as allowed."""
        return web.json_response(completion(body, tokens=1))

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Serves on a free port and yields the base URL."""
        app = web.Application(client_max_size=1 << 26)
        app.add_routes(
            [web.get("/v1/models", self.models), web.post("/v1/completions", self.completions)]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/v1"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def raw_server(reply: RawReply) -> AsyncIterator[str]:
    """Serves bytes as they are, HTTP or not, and yields the base URL. `reply`: from
    path and request body to what is sent before the connection is closed.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lengths = [
                line.partition(":")[2]
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            ]
            body = await reader.readexactly(int(lengths[0])) if lengths else b"{}"
            writer.write(reply(head.split(" ", 2)[1], json.loads(body)))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that has read enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}/v1"


def completion(body: dict[str, Any], *, tokens: int | None = None) -> dict[str, Any]:
    """Returns a good reply to a request: token 5, over and over."""
    length = tokens or body["max_tokens"]
    top = {
        f"token_id:{token}": -1.0 / (1 + body["temperature"])
        for token in body.get("logprob_token_ids", [])
    }
    logprobs = (
        None
        if body.get("logprobs") is None
        else {"token_logprobs": [-1.0] * length, "top_logprobs": [top] * length}
    )
    choice = {
        "text": "",
        "token_ids": [5] * length,
        "logprobs": logprobs,
        "finish_reason": "length",
        "stop_reason": None,
    }
    choices = [choice | {"index": index} for index in range(body.get("n", 1))]
    return {
        "choices": choices,
        "usage": {"prompt_tokens": len(body["prompt"]), "completion_tokens": length * len(choices)},
    }


class Clock:
    """Time that passes only while a task sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
