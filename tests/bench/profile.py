"""Where our CPU time goes in a stepped search, by package.

The process is stopped every few milliseconds of CPU time that it has used (the kernel's
tick decides how many), and the Python function that is running is written down;
built-ins, the standard library but for asyncio, and code that dataclasses made count
for their caller. Nothing is traced, so nothing is slowed down: cProfile makes a call of
this search several times as dear, and dearest what consists of small functions. The
garbage collector, whose pauses are longer than a tick, is timed by its own callbacks
and left out of the samples. Shares have a sampling error of about sqrt(share /
samples); microseconds are the share of the CPU time that was measured beside it.

Two runs of the same search: beam 16/4 with a working critic on a recording that answers
at once, and on vLLM, whose front end (requests, sockets, outputs) runs in our process;
the model's own process is not in it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from agents.engines.base import Generator
from agents.types import Question
from configs import RunConfig
from tests.bench.figures import CollectorTime, Options, Result, Row, Table
from tests.bench.recording import Recorder, Remembering
from tests.bench.workload import (
    STEPPED,
    ask,
    opened,
    questions,
    record,
    scripted_config,
    served_config,
    serving,
)

ROOT = Path(__file__).parents[2]
INTERVAL_S = 0.001

_GROUPS = {
    "LangGraph": ("langgraph", "langchain_core", "langsmith", "langgraph_sdk", "uuid_utils"),
    "vLLM's front end": ("vllm", "msgspec", "zmq", "torch"),
    "tokenizer": ("transformers", "tokenizers"),
    "pydantic": ("pydantic", "pydantic_core"),
}
_GROUP_OF = {package: group for group, packages in _GROUPS.items() for package in packages}


class Sampler:
    """Counts, over samples of CPU time, in which function the process was. Works in the
    main thread only.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """Samples by (file, function)."""
        self.cpu_s = 0.0
        """CPU seconds of the process while it was sampled."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Samples for the body of the `with`."""
        before = signal.signal(signal.SIGPROF, self._sample)
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.cpu_s += time.process_time() - start
            signal.signal(signal.SIGPROF, before)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        while frame is not None and group_of(frame.f_code.co_filename) is None:
            frame = frame.f_back
        # it hears the collector, and runs when that has ended
        if frame is not None and frame.f_code is not CollectorTime.listen.__code__:
            self.counts[frame.f_code.co_filename, frame.f_code.co_qualname] += 1


def run(options: Options) -> Result:
    """Profiles both runs."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Result:
    asked = questions(8 if options.quick else 64)
    config = scripted_config(*STEPPED)
    recording = await record(config, asked)
    result = Result()
    result.tables += await _sampled(
        "answered at once", config, Remembering(recording), asked, 2 * options.repeats
    )
    config = served_config(*STEPPED, quick=options.quick)
    async with serving(config, quick=options.quick) as (engine, name):
        result.tables += await _sampled(name, config, engine, asked, 1)
    return result


async def _sampled(
    name: str, config: RunConfig, engine: Generator, asked: Sequence[Question], rounds: int
) -> list[Table]:
    """Returns the shares of packages and of the dearest functions."""
    recorder = Recorder(engine)
    sampler, collector = Sampler(), CollectorTime()
    with opened(config, recorder) as (key, _):
        # fills the caches of prompts and questions
        await ask(asked, key, concurrency=config.run.concurrency)
        calls = len(recorder.recording.requests)
        with collector.measured(), sampler.running():
            for _ in range(rounds):
                await ask(asked, key, concurrency=config.run.concurrency)
        calls = len(recorder.recording.requests) - calls
    samples = max(1, sampler.counts.total())
    collected = collector.seconds / sampler.cpu_s
    per_call = sampler.cpu_s / calls * 1e6

    def shares(count: int) -> Row:
        share = count / samples * (1 - collected)
        return {"share": share, "us/call": share * per_call}

    groups: Counter[str] = Counter()
    for (file, _), count in sampler.counts.items():
        groups[group_of(file) or ""] += count
    by_group: list[Row] = [
        {"package": group, **shares(count)} for group, count in groups.most_common()
    ]
    by_group.append(
        {"package": "garbage collector", "share": collected, "us/call": collected * per_call}
    )
    by_group.append({"package": "all", "share": 1.0, "us/call": per_call})
    functions: list[Row] = [
        {"function": f"{_short(file)} {function}", **shares(count)}
        for (file, function), count in sampler.counts.most_common(20)
    ]
    title = f"beam 16/4, {len(asked)} questions, {calls} calls, {samples} samples, {name}"
    return [
        Table(f"CPU by package, {title}", tuple(by_group)),
        Table(f"the dearest functions, {name}", tuple(functions)),
    ]


def group_of(file: str) -> str | None:
    """Returns what a source file belongs to; None for what belongs to its caller: what
    has no file, and the rest of the standard library.
    """
    if file.startswith("<"):
        return None
    _, installed, inside = file.rpartition("/site-packages/")
    if installed:
        package = inside.split("/")[0].removesuffix(".py")
        return _GROUP_OF.get(package, package)
    path = Path(file)
    if path.is_relative_to(ROOT):
        folder = path.relative_to(ROOT).parts[0]
        return "the benchmark's engines" if folder == "tests" else f"ours: {folder}"
    return "asyncio" if path.parent.name == "asyncio" or path.name == "selectors.py" else None


def _short(file: str) -> str:
    """Returns a path as a reader looks for it."""
    for root in ("/site-packages/", f"{ROOT}/", "/lib/"):
        if root in file:
            return file.rpartition(root)[2]
    return file
