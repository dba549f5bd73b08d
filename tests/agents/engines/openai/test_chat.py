"""The chat engine, against a small server in several dialects."""

from __future__ import annotations

import math
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.engines import GenerateRequest, Publisher
from agents.engines.metered import generate_within, score_within
from agents.engines.openai.chat import ChatEngine, logprobs_of_ids
from agents.engines.openai.chat_replies import ChatToken
from agents.engines.openai.opening import Api, Server
from agents.types import (
    Budget,
    Capabilities,
    ContextLengthError,
    EngineError,
    EngineUnavailableError,
    Meter,
)
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


async def test_a_poor_strict_server_is_asked_for_what_it_takes() -> None:
    async with engine_on(POOR) as (engine, server):
        assert engine.info.capabilities == Capabilities()
        assert engine.info.context_length == 4096
        request = GenerateRequest(
            prompt_of(engine), n=3, max_tokens=8, stop=(" of",), seed=1, top_k=2
        )
        generation = await engine.generate(request)
        assert len(generation.completions) == len(server.requests) == 3
        assert len({body["seed"] for body in server.requests}) == 3
        assert not any("stop" in body or "logprobs" in body for body in server.requests)
        for completion in generation.completions:
            assert all(map(math.isnan, completion.logprobs))
            assert " of" not in completion.text.removesuffix(" of")
        assert generation.usage.calls == 1
        assert generation.usage.prompt_tokens == 3 * len(request.prompt)
        with pytest.raises(EngineError, match="continue"):
            await engine.generate(GenerateRequest(prompt_of(engine, beginning="So")))
        with pytest.raises(EngineError, match="chat_working"):
            await engine.score(prompt_of(engine), (300,))


@pytest.mark.parametrize("name", FLAVOURS)
async def test_the_probe_finds_what_the_server_offers(name: str) -> None:
    flavour = FLAVOURS[name]
    async with engine_on(flavour) as (engine, _):
        found = engine.info.capabilities
        assert found is not None
        # the fields of "flag" do not disturb a server that continues any last message
        ways = {flavour.continuation, "flag" if flavour.continuation == "trailing" else ""}
        assert found.continuation in ways and found.echoes == flavour.echoes
        assert found.several == flavour.several and found.seed and found.usage
        assert found.stop == ("cut_here" if flavour.stop == "stripped" else "kept")
        assert found.keeps_whitespace and found.logprobs and found.top_logprobs > 5
        assert found.sampling == ("top_k", "min_p", "repetition_penalty")


async def test_white_space_that_the_template_drops_is_not_doubled() -> None:
    kept, dropped = Flavour(), Flavour(trims=True)
    texts = []
    for flavour in (kept, dropped):
        async with engine_on(flavour) as (engine, server):
            assert engine.capabilities.keeps_whitespace != flavour.trims
            first = replace(
                GenerateRequest(prompt_of(engine), max_tokens=60, temperature=0.0), stop=("\n\n",)
            )
            beginning = (await engine.generate(first)).completions[0]
            assert beginning.text.endswith("\n\n")
            more = await engine.generate(replace(first, prompt=first.prompt + beginning.token_ids))
            assert ("stop" in server.requests[-1]) != flavour.trims
            texts.append(more.completions[0].text)
    assert texts[0] == texts[1] and texts[0].strip()


@pytest.mark.parametrize("several", [True, False])
async def test_no_seed_is_sent_to_a_server_that_refuses_it(several: bool) -> None:
    async with engine_on(Flavour(takes_seed=False, several=several)) as (engine, server):
        await engine.generate(GenerateRequest(prompt_of(engine), n=2, max_tokens=4, seed=1))
        assert len(server.requests) == (1 if several else 2)
        assert not any("seed" in body for body in server.requests)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_the_reasoning_field_becomes_a_closed_think_block(field: str) -> None:
    thought = "First </think> 7, then 8."
    async with engine_on(Flavour(thought=thought, thought_field=field)) as (engine, _):
        assert not engine.capabilities.can_continue and engine.capabilities.reasoning
        generation = await engine.generate(GenerateRequest(prompt_of(engine), max_tokens=6))
        text = generation.completions[0].text
        assert text.startswith("<think>") and text.count("</think>") == 1
        assert "then 8." in text.partition("</think>")[0]


async def test_logprobs_of_ids_sum_to_those_of_the_tokens() -> None:
    async with engine_on(Flavour()) as (engine, _):
        tokens = [
            ChatToken("né".encode(), -1.0),
            ChatToken(b" extraordi", -2.0),
            ChatToken(b"nary", -4.0),
            ChatToken(b"<|end|>", -8.0),
        ]
        ids = (*engine.tokenizer.encode("né extraordinary"), engine.tokenizer.eos_token_id)
        logprobs = logprobs_of_ids(engine.tokenizer, ids, tokens)
        assert sum(logprobs) == -15.0 and logprobs[0] == -1.0 and logprobs[-1] == -8.0
        cut = logprobs_of_ids(engine.tokenizer, ids[:-1], tokens)
        assert sum(cut) == -7.0
        special = [tokens[0], ChatToken(b"<|special|>", -16.0), *tokens[1:]]
        shifted = logprobs_of_ids(engine.tokenizer, ids, special)
        assert [one - other for one, other in zip(shifted, logprobs, strict=True)] == [
            0.0,
            -16.0,
            *[0.0] * (len(ids) - 2),
        ]
        behind = logprobs_of_ids(engine.tokenizer, ids[1:], tokens, "né".encode())
        assert behind == logprobs[1:]


async def test_a_system_message_joins_the_question_where_it_is_refused() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]
    async with engine_on(Flavour(system_messages=False)) as (engine, server):
        prompt = tuple(engine.tokenizer.apply_chat_template(messages, {"enable_thinking": False}))
        await engine.generate(GenerateRequest(prompt, max_tokens=2))
        assert server.requests[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\nWhy?"}]
        assert server.requests[-1]["chat_template_kwargs"] == {"enable_thinking": False}


LOSSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "n": ({"several": False}, {"n": 2}),
    "logprobs": ({"most_alternatives": 0}, {"logprobs": True}),
    "usage": ({"usage": False}, {}),
    "extra fields": ({"is_strict": True}, {}),
}
"""What a server stops offering, and a request that needs it."""


@pytest.mark.parametrize("name", LOSSES)
async def test_a_capability_lost_meanwhile_is_an_engine_error(name: str) -> None:
    change, needs = LOSSES[name]
    async with engine_on(Flavour(), retry_s=0.0) as (engine, server):
        request = GenerateRequest(prompt_of(engine), max_tokens=4, logprobs=False)
        await engine.generate(request)
        server.flavour = replace(server.flavour, **change)
        with pytest.raises(EngineError, match=r"127\.0\.0\.1") as caught:
            await engine.generate(replace(request, **needs))
        assert "when the engine opened" in str(caught.value)


async def test_an_echo_lost_meanwhile_is_an_engine_error() -> None:
    async with engine_on(FLAVOURS["llama_cpp"], retry_s=0.0) as (engine, server):
        server.flavour = replace(server.flavour, echoes=False)
        with pytest.raises(EngineError, match="beginning of the turn"):
            await engine.generate(GenerateRequest(prompt_of(engine, beginning="So 7")))


async def test_no_error_shows_what_is_asked() -> None:
    async with engine_on(Flavour(), retry_s=0.0) as (engine, server):
        prompt = prompt_of(engine, "the hidden question", "the hidden thought")
        server.flavour = replace(server.flavour, is_strict=True)
        with pytest.raises(EngineError) as caught:
            await engine.generate(GenerateRequest(prompt))
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        own = [frame for frame in report.stack if "/agents/engines/openai/" in frame.filename]
        shown = [str(frame.locals) for frame in own if "/tests/" not in frame.filename]
        assert len(shown) > 3
        assert not any("hidden question" in one or "hidden thought" in one for one in shown)


async def test_a_prompt_too_long_for_the_server_is_no_engine_error() -> None:
    async with engine_on(Flavour(context=None), context_length=10**6) as (engine, server):
        server.flavour = replace(server.flavour, most_prompt=100)
        with pytest.raises(ContextLengthError, match=r"engine\.context_length"):
            await engine.generate(GenerateRequest(prompt_of(engine, " word" * 200)))


async def test_a_prompt_too_long_for_the_server_leaves_no_room_in_a_budget() -> None:
    async with engine_on(Flavour(context=None, most_prompt=150), context_length=10**6) as (
        engine,
        _,
    ):
        meter = Meter(Budget(max_tokens=100))
        prompt = prompt_of(engine, " word" * 200)
        request = GenerateRequest(prompt, max_tokens=8)
        answer = await generate_within(engine, request, meter=meter, role="policy")
        assert answer == "context_length" and meter.tokens_left == 100
        scores = await score_within(engine, prompt, (300,), meter=meter, role="critic")
        assert scores == "context_length" and meter.tokens_left == 100


async def test_replicas_that_differ_are_refused() -> None:
    async with (
        ChatServer(Flavour()).listening() as first,
        ChatServer(Flavour(several=False)).listening() as second,
    ):
        with pytest.raises(EngineUnavailableError, match="offer different features"):
            await Server.open(base_url=(first, second))


@pytest.mark.parametrize("api", ["auto", "chat"])
async def test_a_server_that_refuses_a_plain_question_is_unavailable(api: Api) -> None:
    async with ChatServer(Flavour(limit="max_new_tokens")).listening() as base_url:
        with pytest.raises(EngineUnavailableError, match="max_new_tokens"):
            await Server.open(base_url=base_url, api=api)
