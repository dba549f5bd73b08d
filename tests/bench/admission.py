"""Where more requests wait than the engine can hold: questions that were begun first
come first, against requests in order of arrival.

Beam 16/4 with the working critic asks for up to 16 sequences per question; with the
default concurrency that is 16 times what vLLM computes at once. In order of arrival all
trees grow together, and between two steps of one the others' blocks drive its own out
of the KV cache. In the order in which questions were begun (`GenerateRequest.priority`,
which `Meter` gives) a few trees are under way and the others wait.

Both phases run on one engine with an empty prefix cache, A B A B: once with a small KV
cache (about 6500 tokens) and once with the default.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from agents.engines.base import (
    GenerateRequest,
    Generation,
    Generator,
    NextTokenScores,
    SupportsCacheReset,
)
from agents.types import Question
from configs import RunConfig
from graphs.reasoner.batch import run_questions
from tests.bench.figures import Options, Result, Row, Table, figure, ratios
from tests.bench.recording import Recorder
from tests.bench.workload import STEPPED, opened, questions, served_config, serving

SMALL_KV = "engine.kv_cache_gib=0.05"


class Phase(NamedTuple):
    """One run over all questions."""

    seconds: float
    finished: float
    """Mean seconds from the start of the run until a question is finished."""
    hit_rate: float
    """Share of the prompt tokens that were found in the prefix cache."""


class InOrderOfArrival(Recorder):
    """Forgets whose turn it is."""

    async def generate(self, request: GenerateRequest) -> Generation:
        return await super().generate(replace(request, priority=0))

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        return await super().score(prompt, candidates)


ORDERS: dict[str, type[Recorder]] = {
    "in order of arrival": InOrderOfArrival,
    "first begun first": Recorder,
}


def run(options: Options) -> Result:
    """Measures both orders with either KV cache."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Result:
    result = Result()
    asked = questions(4 if options.quick else min(options.questions, 64))
    for kv, overrides in {"small KV cache": (SMALL_KV,), "default KV cache": ()}.items():
        config = served_config(*STEPPED, *(() if options.quick else overrides), quick=options.quick)
        phases: dict[str, list[Phase]] = {name: [] for name in ORDERS}
        async with serving(config, quick=options.quick) as (engine, served_by):
            # the first requests of an engine are slow
            await _phase(config, engine, Recorder, asked[:8])
            for _ in range(options.repeats):
                for name, order in ORDERS.items():
                    phases[name].append(await _phase(config, engine, order, asked))
        result.tables.append(
            _table(f"beam 16/4, {len(asked)} questions, {kv}, {served_by}", phases)
        )
    return result


def _table(title: str, phases: dict[str, list[Phase]]) -> Table:
    rows: list[Row] = []
    for name, found in phases.items():
        rows.append(figure(name, [phase.seconds for phase in found], "s"))
        rows.append(
            figure("  until a question is finished, mean", [phase.finished for phase in found], "s")
        )
        rows.append(
            figure(
                "  prefix-cache hit rate",
                [phase.hit_rate for phase in found],
                "of the prompt tokens",
            )
        )
    arrival, begun = phases.values()
    rows.append(
        figure(
            "first begun over arrival",
            ratios([one.seconds for one in begun], [one.seconds for one in arrival]),
            "x",
        )
    )
    finished = ratios([one.finished for one in begun], [one.finished for one in arrival])
    rows.append(figure("  until a question is finished", finished, "x"))
    return Table(title, tuple(rows))


async def _phase(
    config: RunConfig, engine: Generator, order: type[Recorder], asked: Sequence[Question]
) -> Phase:
    assert isinstance(engine, SupportsCacheReset)
    await engine.reset_cache()
    recorder, ends = order(engine), list[float]()
    with opened(config, recorder) as (key, _):
        start = time.monotonic()
        outcome = await run_questions(
            asked,
            key,
            concurrency=config.run.concurrency,
            on_answer=lambda answer: ends.append(time.monotonic() - start),
        )
        seconds = time.monotonic() - start
    assert not outcome.failed, outcome.failed
    usage = recorder.recording.usage
    return Phase(seconds, sum(ends) / len(ends), usage.cached_prompt_tokens / usage.prompt_tokens)
