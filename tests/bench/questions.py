"""What a question costs when many are in flight, and how much memory it holds.

Each size asks its number of questions (at least a few hundred), that many of them at
once, on a simulated server with continuous batching (tests/bench/recording.py) and a
clock that skips the waiting (tests/bench/clock.py). The figure is our CPU time per
question, the server's simulation left out. Flat is the aim: the last row is the cost at
the largest size over the cost at 100.

The questions are 100 different ones, asked again and again: prompts are tokenised once
for all sizes alike.

Memory is what tracemalloc counts at its peak while 50 and 250 questions are in flight,
on an engine that answers at once with numbers of its own; the difference per question
is the figure, so that what is there once (templates, rules) is not in it.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Sequence
from typing import NamedTuple

from agents.types import Question
from configs import RunConfig
from tests.bench.clock import run_skipping, skipping_loop
from tests.bench.figures import CollectorTime, Options, Result, Row, Table, Target, figure, ratios
from tests.bench.recording import BatchingServer, Recording, Remembering, Speed
from tests.bench.workload import NO_CAPS, ask, opened, questions, record, scripted_config

FLAT = Target("<=", 1.25)
SPEED = Speed(iteration_s=0.008, per_sequence_s=0.00003, max_batch=256)
"""An assumption: of the order of 7 billion weights on one large GPU."""


class _Cost(NamedTuple):
    cpu_s: float
    """Ours, per question."""
    collector_s: float
    """The garbage collector's part of it."""
    seconds: float
    """From the first question to the last answer, with the waiting."""
    busy: float
    """Share of that time in which the server had something to do."""


def run(options: Options) -> Result:
    """Measures cost and memory."""
    sizes = (2, 4, 8) if options.quick else (10, 100, 1000, 10_000)
    config = scripted_config(
        "search=beam", "search.num_samples=8", "search.beam_width=2", "reflector=none", *NO_CAPS
    )
    different = questions(4 if options.quick else 100)
    recording = asyncio.run(record(config, different))
    costs: dict[int, list[_Cost]] = {size: [] for size in sizes}
    for _ in range(options.repeats):
        for size in sizes:
            asked = _cycled(different, max(size, 4 if options.quick else 300))
            costs[size].append(run_skipping(_cost(config, asked, recording, size)))
    rows: list[Row] = []
    for size in sizes:
        rows.append(
            figure(
                f"{size:,} in flight: CPU",
                [1e3 * cost.cpu_s for cost in costs[size]],
                "ms/question",
            )
        )
        rows.append(
            figure(
                "  of which garbage collector",
                [1e3 * cost.collector_s for cost in costs[size]],
                "ms/question",
            )
        )
        rows.append(
            figure("  the server is busy", [cost.busy for cost in costs[size]], "of the time")
        )
    largest, reference = sizes[-1], sizes[1]
    flat = ratios(
        [cost.cpu_s for cost in costs[largest]], [cost.cpu_s for cost in costs[reference]]
    )
    rows.append(figure(f"{largest:,} over {reference:,} in flight", flat, "x", FLAT))
    title = f"CPU per question, beam 8/2, {len(recording.requests) / len(different):.0f} calls each"
    few, many = (2, 6) if options.quick else (50, 250)
    bytes_each = (
        _peak_bytes(config, _cycled(different, many), recording)
        - _peak_bytes(config, _cycled(different, few), recording)
    ) / (many - few)
    memory = (
        figure(f"memory per question in flight ({few} to {many})", [bytes_each / 1024], "KiB"),
    )
    return Result(
        [Table(title, tuple(rows)), Table("memory", memory)], [f"the simulated server: {SPEED}"]
    )


def _cycled(different: Sequence[Question], count: int) -> list[Question]:
    return [different[i % len(different)] for i in range(count)]


async def _cost(
    config: RunConfig, asked: Sequence[Question], recording: Recording, concurrency: int
) -> _Cost:
    loop = skipping_loop()
    server = BatchingServer(recording, loop, SPEED)
    collector = CollectorTime()
    with opened(config, server) as (key, _):
        await ask(asked[:2], key, concurrency=2)
        gc.collect()
        cpu, start, busy = loop.cpu_seconds, loop.time(), server.busy_s
        with collector.measured():
            await ask(asked, key, concurrency=concurrency)
        cpu, seconds, busy = loop.cpu_seconds - cpu, loop.time() - start, server.busy_s - busy
    return _Cost(cpu / len(asked), collector.seconds / len(asked), seconds, busy / seconds)


def _peak_bytes(config: RunConfig, asked: Sequence[Question], recording: Recording) -> int:
    async def measured() -> int:
        with opened(config, Remembering(recording, copies=True)) as (key, _):
            await ask(asked[:2], key, concurrency=2)
            gc.collect()
            tracemalloc.start()
            try:
                await ask(asked, key, concurrency=len(asked))
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    return asyncio.run(measured())
