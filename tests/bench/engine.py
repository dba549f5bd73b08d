"""How much of the engine a search uses: generated tokens per second of graph runs over
those of a replay.

The graph asks its questions of vLLM (`graphs.run.run_questions`, with the default
concurrency); a wrapper writes down every request: prompt ids, n, max_tokens, stop,
temperature, seed. Then the very same requests, of all roles, are sent to the same
engine at once. The replay knows every prompt beforehand and never waits, so the
ratio is the share of the engine's throughput that is left when steps must wait for
verdicts, questions end at different times, and our own code takes its turn in the
engine's process and event loop. 1 is the most to be expected.

What is fair: both phases run on one engine in one process and loop; before each the
prefix cache is emptied (the same weights are loaded again); requests are queued in the
order in which the graph sent them, so that the replay finds about as much in the cache
as the graph did (both hit rates are printed); each phase is credited with the tokens
that it generated itself, because batches of another composition may round differently.

    whole answers             best_of_n, n = 4, majority: one request per question. Its
                              replay is plain sampling of whole answers.
    stepped, log-probability  beam 8/2 without a critic, ranked by the policy's own
                              log-probability
    stepped, working critic   beam 8/2, every step judged by the working critic

`over plain` is the graph's throughput over that of plain sampling in the same round:
what a search costs beside sampling whole answers, in throughput alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.engines.base import Generator, Publisher
from agents.types import Question, Usage
from configs import RunConfig
from configs.schema.engine import resolve_model
from tests.bench.figures import Options, Result, Row, Table, Target, figure, ratios
from tests.bench.recording import Recorder, Recording, replay
from tests.bench.workload import NO_CAPS, ask, opened, questions, served_config, serving

POCKET_TARGET = Target(">=", 0.80)

POLICY_ALONE = ("critic=none", "reflector=none", *NO_CAPS)
SEARCHES = {
    "whole answers": ("search=best_of_n", "search.num_samples=4", *POLICY_ALONE),
    "stepped, log-probability": (
        "search=beam",
        "search.num_samples=8",
        "search.beam_width=2",
        "search.logprob_weight=1.0",
        *POLICY_ALONE,
    ),
    "stepped, working critic": (
        "search=beam",
        "search.num_samples=8",
        "search.beam_width=2",
        "reflector=none",
        *NO_CAPS,
    ),
}


class Phase(NamedTuple):
    """One run or one replay."""

    seconds: float
    usage: Usage

    @property
    def tokens_per_second(self) -> float:
        return self.usage.generated_tokens / self.seconds

    @property
    def hit_rate(self) -> float:
        """Share of the prompt tokens that were found in the prefix cache."""
        return self.usage.cached_prompt_tokens / self.usage.prompt_tokens


def run(options: Options) -> Result:
    """Measures the pocket model."""
    count = 8 if options.quick else options.questions
    return Result(
        [asyncio.run(graph_over_replay("pocket", SEARCHES, count, POCKET_TARGET, options))]
    )


async def graph_over_replay(
    model: str, searches: dict[str, tuple[str, ...]], count: int, target: Target, options: Options
) -> Table:
    """Asks `count` questions by each search, replays its requests, and returns both
    throughputs and their ratio.

    Args:
        model: what the table calls it.
        searches: overrides by name; all with the same engine, and "whole answers"
            first.
        count: questions.
        target: of graph over replay.
        options: how often, and whether quickly.
    """
    asked = questions(count)
    phases: dict[tuple[str, str], list[Phase]] = {
        (name, kind): [] for name in searches for kind in ("graph", "replay")
    }
    requests: dict[str, int] = {}
    configs = {
        name: served_config(*search, quick=options.quick) for name, search in searches.items()
    }
    first = next(iter(configs.values()))
    async with serving(first, quick=options.quick) as (engine, served_by):
        await _graph(first, engine, asked[:8])  # the first requests of an engine are slow
        for _ in range(options.repeats):
            for name, config in configs.items():
                await _forget_prefixes(engine, config)
                phase, recording = await _graph(config, engine, asked)
                phases[name, "graph"].append(phase)
                requests[name] = len(recording.requests)
                await _forget_prefixes(engine, config)
                start = time.monotonic()
                usage = await replay(engine, recording.requests)
                phases[name, "replay"].append(Phase(time.monotonic() - start, usage))
    return _table(
        f"{model}, {count} questions, {served_by}", phases, list(searches), requests, target
    )


def _table(
    title: str,
    phases: dict[tuple[str, str], list[Phase]],
    searches: Sequence[str],
    requests: dict[str, int],
    target: Target,
) -> Table:
    speeds = {of: [phase.tokens_per_second for phase in found] for of, found in phases.items()}
    rows: list[Row] = []
    for name in searches:
        for kind in ("graph", "replay"):
            found = phases[name, kind]
            rows.append(figure(f"{name}: {kind}", speeds[name, kind], "tokens/s"))
            rows.append(
                figure(
                    "  prefix-cache hit rate",
                    [phase.hit_rate for phase in found],
                    "of the prompt tokens",
                )
            )
            rows.append(
                figure(
                    "  generated tokens",
                    [float(phase.usage.generated_tokens) for phase in found],
                    f"in {requests[name]} requests",
                )
            )
        rows.append(
            figure(
                f"{name}: graph over replay",
                ratios(speeds[name, "graph"], speeds[name, "replay"]),
                "x",
                target,
            )
        )
        if name != "whole answers":
            rows.append(
                figure(
                    f"{name}: over plain",
                    ratios(speeds[name, "graph"], speeds["whole answers", "replay"]),
                    "x",
                )
            )
    return Table(title, tuple(rows))


async def _graph(
    config: RunConfig, engine: Generator, asked: Sequence[Question]
) -> tuple[Phase, Recording]:
    recorder = Recorder(engine)
    with opened(config, recorder) as (key, _):
        start = time.monotonic()
        await ask(asked, key, concurrency=config.run.concurrency)
        seconds = time.monotonic() - start
    return Phase(seconds, recorder.recording.usage), recorder.recording


async def _forget_prefixes(engine: Generator, config: RunConfig) -> None:
    """Empties the prefix cache: an engine forgets it when it takes weights, also when
    they are the ones that it has.
    """
    assert isinstance(engine, Publisher)
    await engine.publish(Path(resolve_model(str(config.engine.keywords().get("model", "pocket")))))
