"""The one way in which a role spends: ask the meter, ask the engine, book the cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from agents.engines.base import GenerateRequest, Generation, Generator, NextTokenScores
from agents.nouns import Meter, Reservation, Usage

Refusal = Literal["budget", "context_length"]
"""Why nothing was sent: nothing is left of the question's budget, or the prompt alone fills the model's context."""

T = TypeVar("T", Generation, NextTokenScores)


async def generate_within(engine: Generator, request: GenerateRequest, *, meter: Meter, role: str) -> Generation | Refusal:
    """Returns the engine's answer to `request`, cut to what context and budget allow, and books its cost on `role`.

    A request that is cut has fewer `max_tokens`, so the completion's finish reason says "length": never mistaken for a finished one.
    """

    async def send(granted: Reservation) -> Generation:
        return await engine.generate(replace(request, n=granted.n, max_tokens=granted.max_tokens))

    room = engine.info.context_length - len(request.prompt)
    return await _spend(send, request.n, min(request.max_tokens, room), meter, role)


async def score_within(
    engine: Generator, prompt: Sequence[int], candidates: Sequence[int], *, meter: Meter, role: str
) -> NextTokenScores | Refusal:
    """Returns the engine's scores of `candidates` as the next token, where context and budget have room for it, and books it on `role`."""

    async def send(granted: Reservation) -> NextTokenScores:
        return await engine.score(prompt, candidates)

    return await _spend(send, 1, min(1, engine.info.context_length - len(prompt)), meter, role)


async def _spend(send: Callable[[Reservation], Awaitable[T]], n: int, max_tokens: int, meter: Meter, role: str) -> T | Refusal:
    """Sends a request for `n` samples of at most `max_tokens`, which the caller has cut to what the context holds."""
    if max_tokens < 1:
        return "context_length"
    reservation = meter.reserve(n, max_tokens)
    if reservation.n == 0:
        return "budget"
    usage = Usage()
    try:
        answer = await send(reservation)
        usage = answer.usage
    finally:
        meter.settle(reservation, role, usage)
    return answer
