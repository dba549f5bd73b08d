"""What a server lacks is refused before a run, reported in one line, or made up for."""

from __future__ import annotations

from uuid import uuid4

import pytest

from agents.types import EngineError, Question
from configs import compose
from graphs.reasoner.batch import run_questions
from graphs.reasoner.resources import forget, open_resources, register
from graphs.reasoner.roles.capabilities import whole_answer_searches
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import Trace
from tests.agents.engines.openai.chat_server import ChatServer, Flavour
from tests.agents.engines.openai.test_chat import FLAVOURS, POOR

CHAT = ("experiment=chat", "engine=openai", "safety.enabled=false", "policy.max_step_tokens=40")
FEW = ("policy.max_answer_tokens=60", "budget.max_tokens=1000", "summarizer.kind=neutral")
QUESTIONS = [Question(text="Why is the sky blue?"), Question(text="What is a sum?")]

REFUSED = {
    "a step by step search": (POOR, ("search=critique_loop",), "search.strategy"),
    "a search behind steps": (POOR, ("search=posterior",), "search.strategy"),
    "revision": (POOR, ("search=sequential_revision",), "search.strategy"),
    "log-probabilities for a search": (
        POOR,
        ("search=best_of_n", "search.selection=best", "search.logprob_weight=1"),
        "search.logprob_weight",
    ),
    "log-probabilities for every run": (POOR, ("policy.logprobs=always",), "policy.logprobs"),
    "the token critic": (POOR, ("critic=chat",), "critic=chat_working"),
    "a forced thought": (POOR, ("policy.think.forced=true",), "policy.think.forced"),
    "continuation prompts": (Flavour(), ("policy.prompts=pocket",), "experiment=chat"),
    "backtrack tokens": (
        Flavour(),
        ("policy.backtrack_tokens=[Wait]",),
        "policy.backtrack_tokens",
    ),
}


async def traces_of(flavour: Flavour, *overrides: str) -> list[Trace]:
    """Returns the traces of all questions."""
    traces: list[Trace] = []
    async with ChatServer(flavour).listening() as base_url:
        config = compose([*CHAT, *FEW, f"engine.base_url={base_url}", *overrides])
        async with open_resources(config, sink=traces.append) as resources:
            key = uuid4().hex
            register(key, resources)
            try:
                assert (await run_questions(QUESTIONS, key, concurrency=2)).failed == {}
            finally:
                forget(key)
    return traces


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_server_cannot_do_is_refused_before_the_run(name: str) -> None:
    flavour, overrides, option = REFUSED[name]
    server = ChatServer(flavour)
    async with server.listening() as base_url:
        config = compose([*CHAT, "critic=length", f"engine.base_url={base_url}", *overrides])
        with pytest.raises(ValueError) as refused:
            async with open_resources(config):
                pass
    assert option in str(refused.value)


def test_whole_answer_searches_are_those_that_sample_behind_the_question() -> None:
    assert whole_answer_searches() == ("greedy", "best_of_n", "self_consistency")


@pytest.mark.parametrize("search", whole_answer_searches())
async def test_whole_answer_searches_run_on_a_poor_server(
    search: str, caplog: pytest.LogCaptureFixture
) -> None:
    traces = await traces_of(POOR, f"search={search}", "critic=none")
    assert len(traces) == len(QUESTIONS)
    lines = [one for one in caplog.records if one.name == "graphs.reasoner.roles.capabilities"]
    assert len(lines) == 1
    for trace in traces:
        assert trace.usage["policy"].generated_tokens > 0
        assert trace.engine.capabilities is not None and not trace.engine.capabilities.usage
        codec = AuditCodec()
        assert codec.loads(codec.dumps(trace)).engine == trace.engine


@pytest.mark.parametrize("name", FLAVOURS)
@pytest.mark.parametrize("search", ["critique_loop", "posterior", "beam"])
async def test_step_by_step_searches_run_where_a_thought_is_continued(
    name: str, search: str
) -> None:
    traces = await traces_of(FLAVOURS[name], f"search={search}", "critic=chat")
    assert len(traces) == len(QUESTIONS)
    assert all(trace.usage["critic"].calls > 0 for trace in traces)
    assert all(trace.usage["policy"].calls > 1 for trace in traces)


async def test_a_capability_lost_in_a_run_ends_the_run_and_names_it() -> None:
    server = ChatServer(Flavour())
    async with server.listening() as base_url:
        config = compose([*CHAT, *FEW, f"engine.base_url={base_url}", "engine.retry_s=0"])
        async with open_resources(config) as resources:
            key = uuid4().hex
            register(key, resources)
            server.flavour = Flavour(is_strict=True)
            with pytest.raises(EngineError, match="when the engine opened"):
                await run_questions(QUESTIONS, key, concurrency=2)
            server.flavour = Flavour()
            assert (await run_questions(QUESTIONS, key, concurrency=2)).answered == len(QUESTIONS)
            forget(key)
