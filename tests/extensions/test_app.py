"""An application of one's own has the reasoner as a node; the package is not edited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from configs import compose
from graphs import Context
from graphs.reasoner.resources import forget, open_resources, register
from graphs.traces.trace import Trace
from tests.extensions import own_app
from tests.scripted_pocket import SCRIPTED

QUESTION = "Calculate (19 + 8) * 8."


@asynccontextmanager
async def context_for(*words: str) -> AsyncIterator[tuple[Context, list[Trace]]]:
    """Yields a context over open engines, and the traces of its thoughts."""
    traces: list[Trace] = []
    async with open_resources(compose([*SCRIPTED, *words]), sink=traces.append) as resources:
        register("app", resources)
        yield Context(resources="app"), traces
        forget("app")


async def test_a_question_is_answered_by_the_reasoner() -> None:
    async with context_for() as (context, traces):
        found = await own_app.create_app().ainvoke({"question": QUESTION}, context=context)
        assert (found["status"], found["answer"], len(traces)) == ("answered", "216", 1)
        assert found["reply"].startswith("216\n")


async def test_a_greeting_makes_no_thought() -> None:
    async with context_for() as (context, traces):
        found = await own_app.create_app().ainvoke({"question": "Hello!"}, context=context)
        assert found["reply"] and not traces


async def test_a_question_without_an_answer_is_sampled_again() -> None:
    async with context_for(
        "critic=none", "search=greedy", "budget.max_tokens=4", "policy.max_step_tokens=4"
    ) as (context, traces):
        found = await own_app.create_app().ainvoke({"question": QUESTION}, context=context)
        assert found["status"] == "no_answer"
        assert [trace.sample for trace in traces] == list(range(own_app.MOST_SAMPLES))
        assert found["reply"] == found["summary"]


async def test_a_stream_shows_the_nodes_of_both_graphs() -> None:
    async with context_for() as (context, _):
        phases = [
            phase
            async for _, update in own_app.create_app().astream(
                {"question": QUESTION}, context=context, stream_mode="updates", subgraphs=True
            )
            for phase in update
        ]
    assert phases[0] == "screen" and phases[-3:] == ["record", "reason", "reply"]
