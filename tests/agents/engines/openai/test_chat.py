"""The chat engine, against a small server in several dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.engines import GenerateRequest, Publisher
from agents.engines.openai.chat import ChatEngine
from agents.engines.openai.opening import Server
from tests.agents.engines.conformance import GeneratorConformance, Subject
from tests.agents.engines.openai.chat_server import ChatServer, Flavour
from tests.agents.engines.openai.false_server import Clock

FLAVOURS = {
    "vllm": Flavour(),
    "llama_cpp": Flavour(continuation="trailing", echoes=True, stop="stripped"),
    "one_by_one": Flavour(continuation="prefix", several=False, stop="kept"),
}
"""Servers that offer enough for all laws."""
POOR = Flavour(
    continuation="none",
    system_messages=False,
    several=False,
    most_alternatives=0,
    stop="stripped",
    seed=False,
    usage=False,
    is_strict=True,
    limit="max_completion_tokens",
    context=None,
)
"""A strict server that offers nothing beyond plain replies."""


@asynccontextmanager
async def engine_on(flavour: Flavour, **options: Any) -> AsyncIterator[tuple[ChatEngine, Any]]:
    """Yields an engine and its server."""
    server = ChatServer(flavour)
    async with server.listening() as base_url:
        engine = await Server.open(base_url=base_url, sleep=Clock().sleep, **options)
        assert isinstance(engine, ChatEngine)
        server.requests.clear()
        yield engine, server
        await engine.close()


def prompt_of(engine: ChatEngine, text: str = "What is 3 + 4?", beginning: str = "") -> Any:
    ids = engine.tokenizer.apply_chat_template([{"role": "user", "content": text}])
    return tuple(ids + engine.tokenizer.encode(beginning))


@pytest_asyncio.fixture(params=FLAVOURS, loop_scope="session", scope="module")
async def rich_engine(request: pytest.FixtureRequest) -> AsyncIterator[ChatEngine]:
    """An engine on each of the servers."""
    async with engine_on(FLAVOURS[request.param]) as (engine, _):
        yield engine


class TestChatEngine(GeneratorConformance):
    @pytest.fixture
    def subject(self, rich_engine: ChatEngine) -> Subject:
        return Subject(rich_engine, Path(), Path())

    async def test_stop_token_ends_a_completion_and_stays_in_it(self, subject: Subject) -> None:
        request = GenerateRequest(subject.prompt(), stop_token_ids=(300,))
        with pytest.raises(ValueError, match="backtrack_tokens"):
            await subject.engine.generate(request)

    async def test_the_whole_context_can_be_used(self, subject: Subject) -> None:
        length = subject.engine.info.context_length
        prompt = subject.prompt(" a" * (length - 5))
        assert len(prompt) == length - 2
        generation = await subject.engine.generate(GenerateRequest(prompt, max_tokens=2))
        assert len(generation.completions[0].token_ids) <= 2

    async def test_weights_cannot_be_published(self, subject: Subject) -> None:
        assert not isinstance(subject.engine, Publisher)
