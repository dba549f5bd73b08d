"""Engines for benchmarks: one that writes down what it is asked, one that answers from
what was written, at once or like a busy server.

A search that is run again on its own recording asks for the same again (a seed decides
everything), so the recording answers it: the same search, token for token, at the price
of a dictionary look-up. What is measured then is everything but the model.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agents.engines.base import (
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    Generator,
    NextTokenScores,
    Tokenizer,
)
from agents.engines.gate import Gate
from agents.types import EngineError, Usage
from tests.bench.clock import SkippingLoop


class ScoreRequest(NamedTuple):
    """What `Generator.score` is called with."""

    prompt: tuple[int, ...]
    candidates: tuple[int, ...]


Request = GenerateRequest | ScoreRequest
Answer = Generation | NextTokenScores


@dataclass(slots=True)
class Recording:
    """Every request to an engine, in the order in which they came, and its answer."""

    tokenizer: Tokenizer
    info: EngineInfo
    requests: list[Request] = field(default_factory=list)
    answers: dict[Request, Answer] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """What the requests cost together."""
        return sum((self.answers[request].usage for request in self.requests), Usage())


class Recorder:
    """A Generator that passes everything on to another one, and writes it down."""

    def __init__(self, engine: Generator) -> None:
        self._engine = engine
        self.recording = Recording(engine.tokenizer, engine.info)

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    async def generate(self, request: GenerateRequest) -> Generation:
        self.recording.requests.append(request)
        generation = await self._engine.generate(request)
        self.recording.answers[request] = generation
        return generation

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        request = ScoreRequest(tuple(prompt), tuple(candidates))
        self.recording.requests.append(request)
        scores = await self._engine.score(prompt, candidates, priority=priority)
        self.recording.answers[request] = scores
        return scores

    async def close(self) -> None:
        """Leaves the engine open: its owner closes it."""


async def replay(engine: Generator, requests: Sequence[Request]) -> Usage:
    """Sends all requests at once, to be served in their order, and returns what they
    cost: the engine without waiting times.
    """

    async def send(request: Request) -> Usage:
        if isinstance(request, ScoreRequest):
            return (await engine.score(request.prompt, request.candidates)).usage
        return (await engine.generate(replace(request, priority=0))).usage

    return sum(await asyncio.gather(*(send(request) for request in requests)), Usage())


class Remembering:
    """A Generator that answers from a recording, in the next turn of the event loop.
    Its door is that of every engine (`Gate`).
    """

    def __init__(
        self, recording: Recording, *, one_at_a_time: bool = False, copies: bool = False
    ) -> None:
        """`one_at_a_time`: requests wait for each other. `copies`: an answer shares no
        numbers with the recording, as those of a real engine do not, so that memory can
        be measured.
        """
        self.info = recording.info
        self.tokenizer = recording.tokenizer
        self.answers = recording.answers
        self.asked = 0
        """Requests so far."""
        self._copies = copies
        self._gate = Gate("the recording", limit=1 if one_at_a_time else None)

    async def generate(self, request: GenerateRequest) -> Generation:
        answer = await self._gate.run(
            lambda: self._answer(request, request.priority), priority=request.priority
        )
        assert isinstance(answer, Generation)
        return answer

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        request = ScoreRequest(tuple(prompt), tuple(candidates))
        answer = await self._gate.run(lambda: self._answer(request, priority), priority=priority)
        assert isinstance(answer, NextTokenScores)
        return answer

    async def close(self) -> None:
        """Shuts the gate."""
        await self._gate.close()

    async def _answer(self, request: Request, priority: int) -> Answer:
        answer = self._look_up(request)
        await self.wait(answer, priority)
        return _copy(answer) if self._copies else answer

    async def wait(self, answer: Answer, priority: int) -> None:
        """Lets the answer take its time."""
        await asyncio.sleep(0)

    def _look_up(self, request: Request) -> Answer:
        self.asked += 1
        answer = self.answers.get(request)
        if answer is None:
            raise EngineError(
                "a request is not in the recording: the search is not the one that was recorded"
            )
        return answer


def _copy(answer: Answer) -> Answer:
    if isinstance(answer, NextTokenScores):
        return answer
    completions = tuple(
        Completion(
            logprobs=tuple(math.nextafter(x, 0.0) for x in one.logprobs),
            finish_reason=one.finish_reason,
            stop_reason=one.stop_reason,
            content=one.content,
        )
        for one in answer.completions
    )
    return replace(answer, completions=completions)


class Speed(NamedTuple):
    """How fast a server with continuous batching is: an iteration writes one token of
    every sequence in the batch.
    """

    iteration_s: float
    """Seconds of an iteration without sequences (t0): reading the weights."""
    per_sequence_s: float
    """Seconds that each sequence adds to it (t1)."""
    max_batch: int
    """Sequences computed at once; the others wait, smaller priorities first."""


@dataclass(slots=True)
class _Ticket:
    """A request at the server."""

    left: int
    """Sequences that have not ended."""
    done: asyncio.Future[None]


class BatchingServer(Remembering):
    """Answers from a recording when a server with continuous batching would: `Speed`
    sets its speed.

    A request of n samples is n sequences; it is answered when the last of them has
    ended. A sequence joins at the beginning of an iteration, its prompt costs nothing
    (a prefix cache, and a simplification). The server is another machine: it goes on
    while we compute, and what its simulation costs here is not charged.
    """

    def __init__(
        self, recording: Recording, loop: SkippingLoop, speed: Speed, *, one_at_a_time: bool = False
    ) -> None:
        super().__init__(recording, one_at_a_time=one_at_a_time)
        self._loop = loop
        self._speed = speed
        self._running: list[tuple[int, int, _Ticket]] = []
        """Heap of (iteration after which a sequence ends, its number, its request)."""
        self._waiting: list[tuple[int, int, int, _Ticket]] = []
        """Heap of (priority, number of the arrival, length, request) of the sequences
        that no iteration has begun."""
        self._arrivals = itertools.count()
        self._sequences = 0
        self._iterations = 0
        self._boundary = 0.0
        """When iteration number `_iterations` was over."""
        self._planned = 0
        """Iterations from the boundary to the next change of the batch."""
        self._timer: asyncio.TimerHandle | None = None
        self.busy_s = 0.0
        """Seconds in which at least one sequence ran."""
        self.tokens = 0
        """Tokens of all sequences that were asked for."""

    def _look_up(self, request: Request) -> Answer:
        with self._loop.uncharged():
            return super()._look_up(request)

    async def wait(self, answer: Answer, priority: int) -> None:
        with self._loop.uncharged():
            lengths = (
                [len(one.token_ids) for one in answer.completions]
                if isinstance(answer, Generation)
                else [1]
            )
            ticket = _Ticket(len(lengths), self._loop.create_future())
            self._join(lengths, ticket, priority)
        await ticket.done

    @property
    def _duration_s(self) -> float:
        return self._speed.iteration_s + self._speed.per_sequence_s * len(self._running)

    @property
    def _due(self) -> float:
        return self._boundary + self._planned * self._duration_s

    def _join(self, lengths: Sequence[int], ticket: _Ticket, priority: int) -> None:
        now = self._loop.time()
        while self._running and self._due <= now:  # our loop was late: the server was not
            self._turn()
        for length in lengths:
            heapq.heappush(self._waiting, (priority, next(self._arrivals), length, ticket))
        self.tokens += sum(lengths)
        if not self._running:
            self._boundary = now
            self._admit()
        elif len(self._running) < self._speed.max_batch:
            self._pass(math.floor((now - self._boundary) / self._duration_s))
            self._plan(1)

    def _turn(self) -> None:
        """Ends the iteration after which the batch changes."""
        with self._loop.uncharged():
            if self._timer is not None:
                self._timer.cancel()
            self._pass(self._planned)
            while self._running and self._running[0][0] <= self._iterations:
                _, _, ticket = heapq.heappop(self._running)
                ticket.left -= 1
                # a request that was cancelled is done
                if ticket.left == 0 and not ticket.done.done():
                    ticket.done.set_result(None)
            self._admit()

    def _admit(self) -> None:
        """Fills the batch, at a boundary."""
        while self._waiting and len(self._running) < self._speed.max_batch:
            _, _, length, ticket = heapq.heappop(self._waiting)
            self._sequences += 1
            heapq.heappush(self._running, (self._iterations + length, self._sequences, ticket))
        if self._running:
            self._plan(self._running[0][0] - self._iterations)

    def _pass(self, iterations: int) -> None:
        duration_s = iterations * self._duration_s
        self._boundary += duration_s
        self.busy_s += duration_s
        self._iterations += iterations

    def _plan(self, iterations: int) -> None:
        self._planned = iterations
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._turn)
