"""What it is worth that questions do not wait for each other: our graph against two
simpler ways to run the same search.

    ours           the graph, all questions in flight, children of a question gathered,
                   no barrier between questions
    sequential     one question at a time, and of its requests one at a time
    lock-step      all questions do the same phase at once, and the next one when the
                   slowest is through

All three send the same requests (checked) to the same simulated server with continuous
batching, on a clock that skips the waiting and charges our CPU (tests/bench/clock.py).
The baselines call the graph's nodes by hand, so LangGraph's cost is on our side alone.
The figure is problems per second; a ratio is ours over theirs, of runs that follow each
other.

The recording's steps differ in length as the pocket's do: what lock-step loses is what
the slowest of a level makes the others wait, and the slots of the batch that are empty
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agents.types import Question
from tests.bench.clock import run_skipping, skipping_loop
from tests.bench.figures import Options, Result, Row, Table, figure, ratios
from tests.bench.questions import SPEED
from tests.bench.recording import BatchingServer, Speed
from tests.bench.workload import (
    STEPPED,
    Walk,
    ask,
    opened,
    questions,
    record,
    scripted_config,
    walk,
)

SMALL = Speed(iteration_s=0.0036, per_sequence_s=0.00033, max_batch=64)
"""An assumption: of the order of the pocket model in vLLM on two CPU cores."""

Way = Callable[[Sequence[Question], str], Awaitable[object]]


async def ours(asked: Sequence[Question], key: str) -> None:
    """All questions through the graph."""
    await ask(asked, key, concurrency=len(asked))


async def sequential(asked: Sequence[Question], key: str) -> None:
    """One question after the other; the server lets one request in at a time."""
    await walk(asked, key, concurrency=1)


async def lock_step(asked: Sequence[Question], key: str) -> None:
    """All thoughts move by one node together."""
    thoughts = [Walk.begin(question, key) for question in asked]
    while thoughts:
        await asyncio.gather(*(thought.step() for thought in thoughts))
        thoughts = [thought for thought in thoughts if thought.goes_on]


WAYS: dict[str, Way] = {"ours": ours, "sequential": sequential, "lock-step": lock_step}


def run(options: Options) -> Result:
    """Measures all three ways on two servers."""
    result = Result()
    asked = questions(4 if options.quick else 128)
    config = scripted_config(*STEPPED)
    recording = asyncio.run(record(config, asked))

    async def problems_per_second(name: str, speed: Speed) -> tuple[float, float, int]:
        loop = skipping_loop()
        server = BatchingServer(recording, loop, speed, one_at_a_time=name == "sequential")
        with opened(config, server) as (key, _):
            start = loop.time()
            await WAYS[name](asked, key)
            seconds = loop.time() - start
        return len(asked) / seconds, server.tokens / seconds, server.asked

    for server, speed in {"large GPU": SPEED, "two CPU cores": SMALL}.items():
        rates: dict[str, list[float]] = {name: [] for name in WAYS}
        tokens: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(options.repeats):
            for name in WAYS:
                rate, token_rate, requests = run_skipping(problems_per_second(name, speed))
                assert requests == len(recording.requests), (
                    f"{name} sent {requests} requests, not {len(recording.requests)}"
                )
                rates[name].append(rate)
                tokens[name].append(token_rate)
        rows: list[Row] = [figure(name, rates[name], "problems/s") for name in WAYS]
        rows += [figure(f"{name}, tokens", tokens[name], "tokens/s") for name in WAYS]
        rows += [
            figure(f"ours over {name}", ratios(rates["ours"], rates[name]), "x")
            for name in WAYS
            if name != "ours"
        ]
        result.tables.append(
            Table(f"beam 16/4, {len(asked)} questions, {server}: {speed}", tuple(rows))
        )
    return result
