"""Publishes trained weights into a running engine, and verifies that it serves them.

After publication the engine samples a few completions, and its logprobs are compared,
token by token, with a plain transformers forward pass of the same folder in float32. An
engine that serves old weights, or new weights with a stale cache, differs by whole nats
at some token.

Tolerances: 1e-4 nats at every token for an engine that computes in float32. An engine
that computes in bfloat16 (8 bits of mantissa) rounds its logits to about 0.1, so single
improbable tokens differ by up to a nat (measured on the pocket model: 0.74, mean
0.017). There the bound is on the mean, which detects another model but not the small
updates of one training. Use `engine.dtype=float32` if that matters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.engines import loop
from agents.engines.base import Completion, GenerateRequest, Generator, Publisher
from agents.engines.precision import local_dtype
from agents.types import EngineError
from training.loops.model_folder import load_model

TOLERANCE_FLOAT32 = 1e-4
"""Largest difference of a token's logprob, in nats."""
MEAN_TOLERANCE_HALF = 0.05
"""Largest mean difference over all tokens for an engine in bfloat16 or float16, in
nats."""

_SAMPLES = 2
_MAX_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Publication:
    """Result of a publication."""

    version: int
    """The engine's version of its weights."""
    max_difference: float
    """Largest |engine - transformers| of a token's logprob, in nats."""
    mean_difference: float
    """Mean of the same differences, in nats."""
    tokens: int
    """Tokens compared."""
    seconds: float
    """Time to load the weights into the engine, without the comparison."""


def publish(
    engine: Generator, folder: Path, prompts: Sequence[tuple[int, ...]], *, dtype: str = "float32"
) -> Publication:
    """Loads the weights of `folder` into the engine and compares logprobs after each of
    `prompts`. Call it from outside the engines' loop.

    `dtype`: number format of the engine.

    Raises:
        ValueError: the engine cannot load new weights, or the folder's weights do not
            fit.
        EngineError: the engine does not serve the folder's weights; names the largest
            difference.
    """
    publisher = require_publisher(engine)
    start = time.monotonic()
    version = loop.run(publisher.publish(folder))
    seconds = time.monotonic() - start
    completions = loop.run(_samples(engine, prompts))
    differences = logprob_differences(load_model(folder, dtype="float32"), prompts, completions)
    largest, mean = max(differences), sum(differences) / len(differences)
    exact = dtype == "float32"
    if (largest > TOLERANCE_FLOAT32) if exact else (mean > MEAN_TOLERANCE_HALF):
        limit = (
            f"at most {TOLERANCE_FLOAT32:g} each"
            if exact
            else (f"at most {MEAN_TOLERANCE_HALF:g} on average")
        )
        raise EngineError(
            f"the engine does not serve the weights of {folder}: of {len(differences)} logprobs "
            f"the largest difference to transformers is {largest:.2g} nats, {mean:.2g} on average "
            f"({dtype}: {limit}); open a new engine with engine.model={folder}"
        )
    return Publication(version, largest, mean, len(differences), seconds)


def require_publisher(engine: Generator) -> Publisher:
    """Returns the engine as a publisher.

    Raises:
        ValueError: the engine cannot load new weights.
    """
    if not isinstance(engine, Publisher):
        raise ValueError(
            f"engine.kind ({engine.info.kind}) cannot take new weights while it runs; set "
            "engine=vllm or engine=transformers"
        )
    return engine


def serving_dtype(options: dict[str, Any], base: Path) -> str:
    """Returns the number format that an engine with these options computes in."""
    dtype = str(options.get("dtype", "auto"))
    if dtype != "auto":
        return dtype
    named = local_dtype(base)
    return "float32" if named == "auto" else named


def logprob_differences(
    model: Any, prompts: Sequence[tuple[int, ...]], completions: Sequence[Sequence[Completion]]
) -> list[float]:
    """Returns |reported - computed| logprob for every token of the completions, in
    nats; `model` runs in its own number format.
    """
    import torch

    differences: list[float] = []
    with torch.inference_mode():
        for prompt, found in zip(prompts, completions, strict=True):
            for completion in found:
                ids = torch.tensor([[*prompt, *completion.token_ids]], device=model.device)
                logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
                computed = (
                    logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None])[:, 0].cpu()
                )
                differences += (computed - torch.tensor(completion.logprobs)).abs().tolist()
    return differences


async def _samples(
    engine: Generator, prompts: Sequence[tuple[int, ...]]
) -> list[tuple[Completion, ...]]:
    """Samples at temperature 1: improbable tokens reveal wrong weights sooner than
    greedy ones.
    """
    room = engine.info.context_length
    requests = [
        GenerateRequest(
            prompt,
            n=_SAMPLES,
            max_tokens=max(1, min(_MAX_TOKENS, room - len(prompt))),
            temperature=1.0,
            seed=number,
        )
        for number, prompt in enumerate(prompts)
    ]
    return [
        generation.completions
        for generation in await asyncio.gather(*(engine.generate(request) for request in requests))
    ]
