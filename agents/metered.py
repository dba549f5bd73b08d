"""The one way in which a role spends: ask the meter, ask the engine, book the cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from agents.engines.base import GenerateRequest, Generation, Generator
from agents.nouns import Meter, Usage

Refusal = Literal["budget", "context_length"]
"""Why nothing was sent: nothing is left of the question's budget, or the prompt alone fills the model's context."""


async def generate_within(engine: Generator, request: GenerateRequest, *, meter: Meter, role: str) -> Generation | Refusal:
    """Returns the engine's answer to `request`, cut to what context and budget allow, and books its cost on `role`.

    A request that is cut has fewer `max_tokens`, so the completion's finish reason says "length": never mistaken for a finished one.
    """
    room = engine.info.context_length - len(request.prompt)
    if room < 1:
        return "context_length"
    reservation = meter.reserve(request.n, min(request.max_tokens, room))
    if reservation.n == 0:
        return "budget"
    usage = Usage()
    try:
        generation = await engine.generate(replace(request, n=reservation.n, max_tokens=reservation.max_tokens))
        usage = generation.usage
    finally:
        meter.settle(reservation, role, usage)
    return generation
