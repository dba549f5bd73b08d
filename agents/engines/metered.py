"""Engine calls within a question's budget: every role reserves tokens at the meter,
calls the engine, and settles the usage. The meter's priority orders the requests.
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
from agents.types import ContextLengthError, Meter, Reservation, Usage

Refusal = Literal["budget", "context_length"]
"""Why no request was sent: the question's budget is exhausted, or the prompt alone
fills the model's context."""

T = TypeVar("T", Generation, NextTokenScores, Classification)


async def generate_within(
    engine: Generator, request: GenerateRequest, *, meter: Meter, role: str
) -> Generation | Refusal:
    """Sends `request`, reduced to what context and budget allow, and charges its usage
    to `role`. Returns a `Refusal` if they allow nothing.

    A reduced request has fewer samples or smaller `max_tokens`; a completion that hits
    the smaller limit has the finish reason "length".
    """
    room = engine.info.context_length - len(request.prompt)
    granted = _reserve(meter, request.n, min(request.max_tokens, room))
    if isinstance(granted, str):
        return granted
    request = replace(request, n=granted.n, max_tokens=granted.max_tokens, priority=meter.priority)
    return await _fitting(engine, _settled(engine.generate(request), granted, meter, role))


async def score_within(
    engine: Generator, prompt: Sequence[int], candidates: Sequence[int], *, meter: Meter, role: str
) -> NextTokenScores | Refusal:
    """Scores `candidates` as the next token if context and budget allow one more token,
    and charges the usage to `role`.
    """
    granted = _reserve(meter, 1, min(1, engine.info.context_length - len(prompt)))
    if isinstance(granted, str):
        return granted
    answer = engine.score(prompt, candidates, priority=meter.priority)
    return await _fitting(engine, _settled(answer, granted, meter, role))


async def classify_within(
    classifier: Classifier, prompt: Sequence[int], *, meter: Meter, role: str
) -> Classification | Refusal:
    """Returns the outputs of the heads for `prompt` if context and budget allow one
    more token, and charges the usage to `role`.

    Although it generates nothing, it is refused once the budget is exhausted.
    """
    granted = _reserve(meter, 1, min(1, classifier.info.context_length - len(prompt)))
    if isinstance(granted, str):
        return granted
    return await _settled(
        classifier.classify(prompt, priority=meter.priority), granted, meter, role
    )


def _reserve(meter: Meter, n: int, max_tokens: int) -> Reservation | Refusal:
    """Reserves `n` samples of at most `max_tokens`, which the caller has limited to the
    free context.
    """
    if max_tokens < 1:
        return "context_length"
    reservation = meter.reserve(n, max_tokens)
    return reservation if reservation.n else "budget"


async def _fitting(engine: Generator, answer: Awaitable[T]) -> T | Refusal:
    """Awaits the answer. An engine that exchanges text only estimates the length of a
    prompt, so there the server's refusal is the measure.
    """
    try:
        return await answer
    except ContextLengthError:
        if engine.info.capabilities is None:
            raise
        return "context_length"


async def _settled(answer: Awaitable[T], granted: Reservation, meter: Meter, role: str) -> T:
    """Awaits the engine's answer and settles its usage; a failed call costs nothing."""
    usage = Usage()
    try:
        result = await answer
        usage = result.usage
    finally:
        meter.settle(granted, role, usage)
    return result
