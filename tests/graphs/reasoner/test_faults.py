"""A server that fails ends a run, which can be resumed; a question that cannot be asked
is counted, and the others go on.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

import agents
from agents.engines import GenerateRequest, Generation
from agents.engines.openai.engine import OpenAIEngine
from agents.types import BadDataError, ContextLengthError, EngineError, LongthoughtError, Question
from configs import compose
from graphs.reasoner.batch import Outcome, run_questions
from graphs.reasoner.resources import build_resources, forget, register
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree
from tests.agents.engines.openai.false_server import Clock, FalseServer, completion
from tests.graphs.reasoner.test_graph import QUESTIONS, resources_for

POCKET = Path(agents.__file__).parent / "pocket"
ASKED = [Question(text=text) for text in QUESTIONS]


class Pocket(FalseServer):
    """Answers every question with "1", but the second with what `hostile` returns."""

    def __init__(self, hostile: web.Response) -> None:
        super().__init__(POCKET)
        self.handler = self.reply
        self.answered = 0
        self._hostile = hostile

    async def reply(self, body: dict[str, Any]) -> web.Response:
        self.answered += 1
        if self.answered == 2:
            return self._hostile
        ids = [*self.tokenizer.encode("<|conclude|>Answer: 1"), self.tokenizer.eos_token_id]
        answer = completion(body, tokens=len(ids))
        for choice in answer["choices"]:
            choice |= {"token_ids": ids, "finish_reason": "stop"}
        return web.json_response(answer)

    @property
    def tokenizer(self) -> Any:
        return self.engine.tokenizer

    engine: OpenAIEngine


@asynccontextmanager
async def asked_of(hostile: web.Response) -> AsyncIterator[tuple[str, list[Trace]]]:
    server, clock, traces = Pocket(hostile), Clock(), list[Trace]()
    async with server.listening() as base_url:
        engine = server.engine = await OpenAIEngine.open(
            base_url=base_url, retry_s=0.0, clock=clock, sleep=clock.sleep
        )
        config = compose(["engine=openai", "search=greedy", "critic=none"])
        resources, key = (
            build_resources(config, {"policy": engine}, sink=traces.append),
            uuid4().hex,
        )
        register(key, resources)
        try:
            yield key, traces
        finally:
            forget(key)
            await engine.close()


@pytest.mark.parametrize(
    "hostile",
    [
        {"status": 200, "text": "<html>", "content_type": "text/html"},
        {"status": 200, "text": '{"choices": [', "content_type": "application/json"},
        {"status": 200, "text": "{}", "content_type": "application/json"},
        {"status": 200, "body": b"\xff", "content_type": "application/json"},
        {"status": 400, "text": "list index out of range"},
        {"status": 401},
        {"status": 404},
        {"status": 422},
        {"status": 429},
        {"status": 500},
    ],
)
async def test_a_fault_of_the_server_ends_the_run_and_fails_no_question(
    hostile: dict[str, Any],
) -> None:
    async with asked_of(web.Response(**hostile)) as (key, traces):
        with pytest.raises(EngineError):
            await run_questions(ASKED, key, concurrency=1)
        assert [trace.question for trace in traces] == ASKED[:1]
        rest = await run_questions(ASKED[1:], key, concurrency=1)
        assert rest.failed == {} and len(traces) == len(ASKED)


async def test_a_question_too_long_for_the_server_is_booked_and_the_others_go_on() -> None:
    refusal = web.Response(status=400, text="This model's maximum context length is 3 tokens.")
    async with asked_of(refusal) as (key, traces):
        outcome = await run_questions(ASKED, key, concurrency=1)
    assert list(outcome.failed) == [f"{ASKED[1].hash}/0"]
    assert outcome.answered == len(traces) == len(ASKED) - 1


@pytest.mark.parametrize(
    ("error", "is_booked"),
    [
        (ContextLengthError(prompt_tokens=1, max_tokens=1, context_length=1), True),
        (ValueError("strange"), True),
        (EngineError("broken"), False),
        (LongthoughtError("the disk is full"), False),
        (BadDataError("a file is gone"), False),
        (KeyError("choices"), False),
        (OSError("no space"), False),
    ],
)
async def test_only_what_a_question_can_cause_is_booked_to_it(
    error: Exception, is_booked: bool
) -> None:
    async with resources_for("search=greedy") as (key, traces, resources):
        generate = resources.engine.generate

        async def fails_once(request: GenerateRequest) -> Generation:
            resources.engine.generate = generate  # type: ignore[method-assign]
            raise error

        resources.engine.generate = fails_once  # type: ignore[method-assign]
        if is_booked:
            outcome = await run_questions(ASKED, key, concurrency=1)
            assert (
                isinstance(outcome, Outcome)
                and len(outcome.failed) == 1
                and outcome.answered == len(ASKED) - 1
            )
        else:
            with pytest.raises(type(error)):
                await run_questions(ASKED, key, concurrency=1)
            assert traces == []


@pytest.mark.parametrize(
    ("words", "asked_for"),
    [
        (("search=best_of_n",), False),
        (("search=best_of_n", "search.selection=weighted_vote"), False),
        (
            (
                "search=best_of_n",
                "search.selection=weighted_vote",
                "search.logprob_weight=1",
                "critic=none",
            ),
            True,
        ),
        (("search=best_of_n", "search.selection=best", "critic=logprob"), True),
        (("search=best_of_n", "policy.logprobs=always"), True),
        (("search=greedy",), False),
        (("search=self_consistency",), False),
        (("search=posterior",), True),
        (("search=mcts",), True),
        (("search=beam",), True),
        (("search=critique_loop",), True),
    ],
)
async def test_logprobs_are_asked_for_where_they_are_read(
    words: tuple[str, ...], asked_for: bool
) -> None:
    async with resources_for(*words) as (key, traces, _):
        await run_questions(ASKED[:1], key, concurrency=1)
    tree = ReasoningTree.replay(traces[0].question, traces[0].events)
    if asked_for:
        assert all(map(math.isfinite, tree.logprob))
    else:
        assert all(map(math.isnan, tree.step(1).content.reveal().logprobs))
        with pytest.raises(BadDataError, match=r"policy\.logprobs=always"):
            tree.logprob  # noqa: B018


async def test_logprobs_change_nothing_that_is_sampled() -> None:
    found: list[list[Any]] = []
    for words in ((), ("policy.logprobs=always",)):
        async with resources_for("search=best_of_n", "search.num_samples=8", *words) as (
            key,
            traces,
            _,
        ):
            await run_questions(ASKED, key, concurrency=1)
        trees = [ReasoningTree.replay(trace.question, trace.events) for trace in traces]
        found.append(
            [
                [step.content.reveal().token_ids for step in tree.steps if step is not None]
                for tree in trees
            ]
        )
        found.append([(trace.answer, trace.usage) for trace in traces])
    assert found[0] == found[2] and found[1] == found[3]
