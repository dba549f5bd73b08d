"""The one way in which a role spends: ask the meter, ask the engine, book the cost. The
meter also says whose turn it is in the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from agents.engines.base import (
    Classification,
    Classifier,
    GenerateRequest,
    Generation,
    Generator,
    NextTokenScores,
)
from agents.types import Meter, Reservation, Usage

Refusal = Literal["budget", "context_length"]
"""Why nothing was sent: nothing is left of the question's budget, or the prompt alone
fills the model's context."""

T = TypeVar("T", Generation, NextTokenScores, Classification)


async def generate_within(
    engine: Generator, request: GenerateRequest, *, meter: Meter, role: str
) -> Generation | Refusal:
    """Returns the engine's answer to `request`, cut to what context and budget allow,
    and books its cost on `role`.

    A request that is cut has fewer `max_tokens`, so the completion's finish reason says
    "length": never mistaken for a finished one.
    """
    room = engine.info.context_length - len(request.prompt)
    granted = _reserve(meter, request.n, min(request.max_tokens, room))
    if isinstance(granted, str):
        return granted
    request = replace(request, n=granted.n, max_tokens=granted.max_tokens, priority=meter.priority)
    return await _booked(engine.generate(request), granted, meter, role)


async def score_within(
    engine: Generator, prompt: Sequence[int], candidates: Sequence[int], *, meter: Meter, role: str
) -> NextTokenScores | Refusal:
    """Returns the engine's scores of `candidates` as the next token, where context and
    budget have room for it, and books it on `role`.
    """
    granted = _reserve(meter, 1, min(1, engine.info.context_length - len(prompt)))
    if isinstance(granted, str):
        return granted
    return await _booked(
        engine.score(prompt, candidates, priority=meter.priority), granted, meter, role
    )


async def classify_within(
    classifier: Classifier, prompt: Sequence[int], *, meter: Meter, role: str
) -> Classification | Refusal:
    """Returns what the heads say of `prompt`, where context and budget have room for
    it, and books it on `role`.

    It generates nothing, but a question that may generate nothing more is not read any
    more, either.
    """
    granted = _reserve(meter, 1, min(1, classifier.info.context_length - len(prompt)))
    if isinstance(granted, str):
        return granted
    return await _booked(classifier.classify(prompt, priority=meter.priority), granted, meter, role)


def _reserve(meter: Meter, n: int, max_tokens: int) -> Reservation | Refusal:
    """Takes room for `n` samples of at most `max_tokens`, which the caller has cut to
    what the context holds.
    """
    if max_tokens < 1:
        return "context_length"
    reservation = meter.reserve(n, max_tokens)
    return reservation if reservation.n else "budget"


async def _booked(answer: Awaitable[T], granted: Reservation, meter: Meter, role: str) -> T:
    """Waits for the engine's answer and settles what it cost."""
    usage = Usage()
    try:
        came = await answer
        usage = came.usage
    finally:
        meter.settle(granted, role, usage)
    return came
