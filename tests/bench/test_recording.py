"""The engines of the benchmarks: a recording answers as it was answered, and the
simulated server keeps to its model of time.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from agents.engines.base import Completion, EngineInfo, GenerateRequest, Generation
from agents.engines.scripted.engine import ScriptedEngine
from agents.types import EngineError, Usage
from tests.bench.clock import SkippingLoop
from tests.bench.recording import BatchingServer, Recorder, Recording, Remembering, Speed, replay


class FreeLoop(SkippingLoop):
    """Our own code costs nothing, so that times can be computed beforehand."""

    @property
    def cpu_seconds(self) -> float:
        return 0.0


def recording_of(lengths: list[list[int]]) -> Recording:
    """Returns a recording in which request i, whose prompt is (i,), gets completions of
    `lengths[i]` tokens.
    """
    engine = ScriptedEngine.from_function(lambda prompt, index, rng: "")
    recording = Recording(engine.tokenizer, EngineInfo("scripted", "m", "", "", 4096))
    for number, of_request in enumerate(lengths):
        request = GenerateRequest((number,), n=len(of_request))
        completions = tuple(
            Completion("", (0,) * length, (0.0,) * length, "stop") for length in of_request
        )
        recording.requests.append(request)
        recording.answers[request] = Generation(completions, Usage(1, 0, sum(of_request), 1))
    return recording


def naive_ends(
    arrivals: list[float], lengths: list[list[int]], priorities: list[int], speed: Speed
) -> list[float]:
    """Returns when each request is answered, from iteration to iteration. All arrivals
    differ.
    """
    waiting = [
        (arrivals[i], i, length)
        for i in sorted(range(len(arrivals)), key=lambda i: arrivals[i])
        for length in lengths[i]
    ]
    running: list[list[int]] = []
    ends = [0.0] * len(arrivals)
    now = 0.0
    while waiting or running:
        if not running:
            now = max(now, waiting[0][0])
        while len(running) < speed.max_batch and (
            come := [one for one in waiting if one[0] <= now]
        ):
            first = min(come, key=lambda one: priorities[one[1]])
            waiting.remove(first)
            running.append([first[1], first[2]])
        now += speed.iteration_s + speed.per_sequence_s * len(running)
        for sequence in running:
            sequence[1] -= 1
            if sequence[1] == 0:
                ends[sequence[0]] = now
        running = [sequence for sequence in running if sequence[1]]
    return ends


@pytest.mark.parametrize("seed", range(10))
def test_the_server_answers_when_one_that_counts_every_iteration_does(seed: int) -> None:
    rng = random.Random(seed)
    speed = Speed(iteration_s=1.0, per_sequence_s=0.1, max_batch=rng.choice([1, 3, 8]))
    lengths = [[rng.randint(1, 9) for _ in range(rng.randint(1, 4))] for _ in range(30)]
    arrivals = [rng.uniform(0, 60) for _ in lengths]
    priorities = [rng.randrange(3) for _ in lengths]
    recording = recording_of(lengths)

    async def ends() -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FreeLoop)
        server = BatchingServer(recording, loop, speed)

        async def send(number: int) -> float:
            await asyncio.sleep(arrivals[number])
            request = recording.requests[number]
            assert isinstance(request, GenerateRequest)
            await server.generate(replace(request, priority=priorities[number]))
            return loop.time()

        found = list(await asyncio.gather(*map(send, range(len(lengths)))))
        assert server.tokens == sum(map(sum, lengths)) and 0 < server.busy_s <= max(found)
        return found

    with asyncio.Runner(loop_factory=FreeLoop) as runner:
        assert runner.run(ends()) == pytest.approx(
            naive_ends(arrivals, lengths, priorities, speed), abs=1e-6
        )


async def test_a_recording_answers_what_it_was_asked_and_nothing_else() -> None:
    engine = ScriptedEngine.from_function(lambda prompt, index, rng: rng.choice(["yes", "no"]))
    recorder = Recorder(engine)
    request = GenerateRequest((65, 66), n=3, seed=1)
    generation = await recorder.generate(request)
    scores = await recorder.score([65], [66, 67])
    for copies in (False, True):
        remembering = Remembering(recorder.recording, copies=copies)
        again = await remembering.generate(request)
        assert [one.token_ids for one in again.completions] == [
            one.token_ids for one in generation.completions
        ]
        assert await remembering.score([65], [66, 67]) == scores
        assert remembering.asked == 2
        with pytest.raises(EngineError, match="not in the recording"):
            await remembering.generate(GenerateRequest((65, 66), n=3, seed=2))


async def test_a_replay_costs_what_was_recorded() -> None:
    recorder = Recorder(ScriptedEngine.from_function(lambda prompt, index, rng: "well"))
    await recorder.generate(GenerateRequest((65,), n=2))
    await recorder.score([65], [66])
    recording = recorder.recording
    assert recording.usage.calls == 2
    assert await replay(Remembering(recording), recording.requests) == recording.usage
