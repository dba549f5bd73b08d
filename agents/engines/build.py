"""Opens engines by kind, once each, and closes them together."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from agents.engines.base import Generator


async def open_engine(kind: str, options: Mapping[str, Any]) -> Generator:
    """Opens an engine; `options` are the keywords of its constructor (or of its `open`). The caller closes it.

    Raises:
        ValueError: there is no such kind.
        EngineUnavailableError: it cannot be built: a missing extra, no such model, no server.
    """
    if kind not in _KINDS:
        raise ValueError(f"engine.kind ({kind!r}) must be one of {', '.join(_KINDS)}")
    return await _KINDS[kind](options)


@asynccontextmanager
async def open_engines(wanted: Mapping[str, tuple[str, Mapping[str, Any]]]) -> AsyncIterator[dict[str, Generator]]:
    """Opens the engine that each name asks for by (kind, options), and closes all at the end of the `async with`.

    Names that ask for the same share one engine. Engines are opened one after another: two that start at once would compete for memory.
    """
    opened: dict[str, Generator] = {}
    async with AsyncExitStack() as stack:
        by_name = {}
        for name, (kind, options) in wanted.items():
            key = json.dumps([kind, dict(options)], sort_keys=True, default=repr)
            if key not in opened:
                opened[key] = await open_engine(kind, options)
                stack.push_async_callback(opened[key].close)
            by_name[name] = opened[key]
        yield by_name


async def _open_vllm(options: Mapping[str, Any]) -> Generator:
    from agents.engines.vllm import VLLMEngine

    return await VLLMEngine.open(**options)


async def _open_openai(options: Mapping[str, Any]) -> Generator:
    from agents.engines.openai import OpenAIEngine

    return await OpenAIEngine.open(**options)


async def _open_transformers(options: Mapping[str, Any]) -> Generator:
    from agents.engines.transformers import TransformersEngine

    return await TransformersEngine.open(**options)


async def _open_scripted(options: Mapping[str, Any]) -> Generator:
    from agents.engines.scripted import ScriptedEngine

    return ScriptedEngine(**options)


_KINDS: dict[str, Callable[[Mapping[str, Any]], Awaitable[Generator]]] = {
    "vllm": _open_vllm,
    "openai": _open_openai,
    "transformers": _open_transformers,
    "scripted": _open_scripted,
}
