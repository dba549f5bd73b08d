"""The OpenAI engine, against a real vLLM server; retries and replicas against a small
false one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from agents.engines import GenerateRequest
from agents.engines.openai.engine import OpenAIEngine
from agents.engines.openai.opening import Server
from agents.engines.vllm.server import serve
from agents.types import EngineDiedError, EngineUnavailableError
from tests.agents.engines.conformance import (
    AdapterConformance,
    GeneratorConformance,
    PublisherConformance,
    RealModelConformance,
    RealPublisherConformance,
    Subject,
)
from tests.agents.engines.openai.false_server import Clock, FalseServer


@pytest_asyncio.fixture(scope="session")
async def openai_engine(vllm_server: str) -> AsyncIterator[OpenAIEngine]:
    """An engine on the session's server."""
    engine = await OpenAIEngine.open(base_url=vllm_server)
    yield engine
    await engine.close()


class TestOpenAIEngine(
    GeneratorConformance, RealModelConformance, PublisherConformance, RealPublisherConformance
):
    @pytest.fixture
    def subject(
        self, openai_engine: OpenAIEngine, tiny_model_folder: Path, other_tiny_model_folder: Path
    ) -> Subject:
        return Subject(openai_engine, tiny_model_folder, other_tiny_model_folder)

    async def test_cached_tokens_are_reported(self, subject: Subject) -> None:
        prompt = subject.prompt("a prompt of its own: " + "x" * 100)
        for expected in (0, (len(prompt) - 1) // 32 * 32):
            assert (
                await subject.greedy(prompt, max_tokens=2)
            ).usage.cached_prompt_tokens == expected

    async def test_cancelled_requests_leave_the_server(
        self, subject: Subject, vllm_server: str
    ) -> None:
        task = asyncio.create_task(
            subject.engine.generate(GenerateRequest(subject.prompt(), n=16, max_tokens=400))
        )
        async with aiohttp.ClientSession() as session:
            while await running(session, vllm_server) == 0:
                assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(30):
                while await running(session, vllm_server) > 0:
                    pass


async def running(session: aiohttp.ClientSession, base_url: str) -> float:
    """Returns how many sequences a vLLM server computes."""
    async with session.get(base_url.removesuffix("/v1") + "/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("vllm:num_requests_running{")
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine_with_adapters(
    tiny_model_folder: Path, adapter_folders: dict[str, str]
) -> AsyncIterator[OpenAIEngine]:
    """The tiny model with two adapters."""
    modules = ["--lora-modules", *(f"{name}={folder}" for name, folder in adapter_folders.items())]
    arguments = ["--enable-lora", "--max-loras", "3", "--max-lora-rank", "16", *modules]
    async with serve(
        str(tiny_model_folder), dtype="float32", kv_cache_gib=0.25, arguments=arguments
    ) as base_url:
        engine = await OpenAIEngine.open(base_url=base_url, adapters=tuple(adapter_folders))
        yield engine
        await engine.close()


@pytest.mark.slow
class TestAdapters(AdapterConformance):
    pass


async def test_an_adapter_that_the_server_does_not_list_is_named(
    openai_engine: OpenAIEngine, vllm_server: str
) -> None:
    with pytest.raises(EngineUnavailableError, match=r"does not serve 'first', only \["):
        await OpenAIEngine.open(base_url=vllm_server, adapters=("first",))


@pytest.mark.slow  # test_replicas.py has the same law on a small false server
async def test_a_server_that_dies_is_a_dead_engine(tiny_model_folder: Path) -> None:
    async with serve(str(tiny_model_folder), dtype="float32", kv_cache_gib=0.25) as base_url:
        engine = await OpenAIEngine.open(base_url=base_url, retry_s=0.5)
        tasks = [
            asyncio.create_task(engine.generate(GenerateRequest((5, 6, 7), n=16, max_tokens=500)))
            for _ in range(3)
        ]
        async with aiohttp.ClientSession() as session:
            while await running(session, base_url) == 0:
                assert not any(task.done() for task in tasks)
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert all(
        isinstance(result, EngineDiedError) and result.in_flight == 3 for result in results
    ), results
    with pytest.raises(EngineDiedError):
        await engine.score((5, 6, 7), (8,))
    await engine.close()


async def test_an_aborted_completion_is_no_sample(tiny_model_folder: Path) -> None:
    """vLLM returns unfinished completions this way when it shuts down."""
    server = FalseServer(tiny_model_folder)

    async def abort_once(body: dict[str, Any]) -> web.Response:
        logprobs = {"token_logprobs": [-1.0], "top_logprobs": [{}]}
        aborted = {
            "token_ids": [5],
            "logprobs": logprobs,
            "finish_reason": "abort",
            "stop_reason": None,
            "index": 0,
        }
        return (
            web.json_response({"choices": [aborted], "usage": {}})
            if len(server.requests) == 3
            else await server.answer(body)
        )

    server.handler = abort_once
    async with server.listening() as base_url:
        engine = await OpenAIEngine.open(base_url=base_url, sleep=Clock().sleep)
        assert (await engine.generate(GenerateRequest((5, 6)))).completions[
            0
        ].finish_reason == "length"
        assert len(server.requests) == 4
        await engine.close()


async def test_at_most_max_in_flight_requests_are_sent(tiny_model_folder: Path) -> None:
    server, inside, most = FalseServer(tiny_model_folder), 0, 0

    async def count(body: dict[str, Any]) -> web.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        return await server.answer(body)

    server.handler = count
    async with server.listening() as base_url:
        engine = await OpenAIEngine.open(base_url=base_url, max_in_flight=3)
        await asyncio.gather(*(engine.generate(GenerateRequest((5, 6))) for _ in range(10)))
        assert most == 3
        await engine.close()


async def test_raw_logprobs_are_noticed(
    tiny_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = FalseServer(tiny_model_folder)
    processed = server.answer

    async def raw(body: dict[str, Any]) -> web.Response:
        return await processed(body | {"temperature": 0.0})

    server.answer = raw  # type: ignore[method-assign]
    async with server.listening() as base_url:
        engine = await OpenAIEngine.open(base_url=base_url)
        assert engine.info.logprobs_mode == "raw"
        assert "--logprobs-mode processed_logprobs" in caplog.text
        await engine.close()


async def test_a_server_without_token_ids_is_told_what_it_lacks(tiny_model_folder: Path) -> None:
    server = FalseServer(tiny_model_folder)

    async def plain(body: dict[str, Any]) -> web.Response:
        return web.json_response(
            {"choices": [{"text": "hi", "finish_reason": "length"}], "usage": {}}
        )

    server.answer = plain  # type: ignore[method-assign]
    async with server.listening() as base_url:
        with pytest.raises(EngineUnavailableError, match=r"return_token_ids.*logprob_token_ids"):
            await OpenAIEngine.open(base_url=base_url)
        with pytest.raises(EngineUnavailableError, match="does not serve 'other', only"):
            await OpenAIEngine.open(base_url=base_url, model="other")


async def test_an_address_without_a_server_says_how_to_start_one() -> None:
    with pytest.raises(
        EngineUnavailableError,
        match=r"127\.0\.0\.1:1 .*agents\.engines\.server "
        r"MODEL.*engine\.base_url",
    ):
        await OpenAIEngine.open(base_url="http://127.0.0.1:1/v1")


async def test_an_api_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(EngineUnavailableError, match="NO_SUCH_KEY, which is not set"):
        await OpenAIEngine.open(api_key_env="NO_SUCH_KEY")


@pytest.mark.slow
async def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineUnavailableError, match="ended with code"):
        async with serve(str(tmp_path)):
            pass


async def test_text_and_token_ids_give_the_same_replies(
    openai_engine: OpenAIEngine, vllm_server: str
) -> None:
    engine = await Server.open(base_url=vllm_server, api="chat")
    offered = engine.info.capabilities
    assert offered is not None and offered.several and offered.seed and offered.usage
    assert engine.info.logprobs_mode == "processed" and offered.top_logprobs == 20
    compared = 0
    for number in range(24):
        conversation = [{"role": "user", "content": f"What is 3 + {number}?"}]
        replies = []
        for one in (openai_engine, engine):
            prompt = tuple(one.tokenizer.apply_chat_template(conversation))
            # the random model seldom writes more than a few printable tokens in a row
            request = GenerateRequest(prompt, max_tokens=1 + number % 6, temperature=0.0)
            replies.append(await one.generate(request))
        by_ids, by_text = (reply.completions[0] for reply in replies)
        # the server keeps the last bytes of an unfinished character
        assert by_text.text.rstrip("\ufffd") == by_ids.text.rstrip("\ufffd")
        assert by_text.finish_reason == by_ids.finish_reason
        assert replies[0].usage.prompt_tokens == replies[1].usage.prompt_tokens
        assert replies[0].usage.generated_tokens == replies[1].usage.generated_tokens
        tokens = by_ids.token_ids
        if all(map(openai_engine.tokenizer.decode, [[token] for token in tokens])) and (
            "\ufffd" not in by_ids.text
        ):
            compared += 1
            assert sum(by_text.logprobs) == pytest.approx(sum(by_ids.logprobs), abs=1e-2)
    assert compared
    await engine.close()
