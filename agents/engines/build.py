"""Opens engines by kind, once each, and closes them together."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from agents.engines.base import Engine, Generator
from agents.engines.vllm.options import VllmOptions
from agents.objects import load_object

_CLASSES = {
    "vllm": ("agents.engines.vllm.engine", "VLLMEngine"),
    "openai": ("agents.engines.openai.opening", "Server"),
    "transformers": ("agents.engines.transformers.engine", "TransformersEngine"),
    "scripted": ("agents.engines.scripted.engine", "ScriptedEngine"),
    "vllm_heads": ("agents.engines.vllm.heads", "VLLMClassifier"),
    "transformers_heads": ("agents.engines.transformers.heads", "TransformersClassifier"),
}
"""Module and class of each kind of engine. The class has a coroutine `open`, which
takes the options of the config group (for vLLM as one object) and must not block the
event loop, which may be that of a server. The last two are classifiers."""


async def open_engine(kind: str, options: Mapping[str, Any]) -> Engine:
    """Opens an engine with the options of its config group. The caller closes it.

    Raises:
        ValueError: `kind` is unknown, or `engine.object` does not name an engine.
        EngineUnavailableError: an extra, the model or the server is missing.
    """
    if kind == "custom":
        return await _open_custom(**options)
    if kind not in _CLASSES:
        raise ValueError(f"engine.kind ({kind!r}) must be one of {', '.join(_CLASSES)}, custom")
    module, name = _CLASSES[kind]
    engine_class = getattr(await asyncio.to_thread(importlib.import_module, module), name)
    engine: Engine = await (
        engine_class.open(VllmOptions(**options))
        if kind in ("vllm", "vllm_heads")
        else engine_class.open(**options)
    )
    return engine


async def _open_custom(object: str, options: Mapping[str, Any] | None) -> Generator:
    """Opens the engine whose class `engine.object` names.

    Raises:
        ValueError: the object is not a class with a coroutine `open`, `open` does not
            take these options, or it does not return a Generator.
    """
    engine_class = await asyncio.to_thread(load_object, object, "engine.object")
    opens = getattr(engine_class, "open", None)
    if not inspect.iscoroutinefunction(opens):
        raise ValueError(
            f"engine.object ({object}) must be a class with a coroutine `open`; see "
            "agents.engines.base.Generator"
        )
    try:
        inspect.signature(opens).bind(**(options or {}))
    except TypeError as error:
        raise ValueError(
            f"engine.options do not fit {object}.open: {error}; correct their names"
        ) from None
    engine = await opens(**(options or {}))
    if not isinstance(engine, Generator):
        raise ValueError(
            f"{object}.open returned {type(engine).__name__}, which must have the members of "
            "agents.engines.base.Generator: info, tokenizer, generate, score and close"
        )
    return engine


async def start_engines(
    wanted: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> tuple[dict[str, Engine], AsyncExitStack]:
    """Opens an engine with (kind, options) for each name of `wanted`. Returns the
    engines by name, and a stack that closes them all.

    Names with equal kind and options share one engine. Engines are opened one after
    another: two that start at once would compete for memory.
    """
    opened: dict[str, Engine] = {}
    async with AsyncExitStack() as stack:
        by_name = {}
        for name, (kind, options) in wanted.items():
            key = json.dumps([kind, dict(options)], sort_keys=True, default=repr)
            if key not in opened:
                opened[key] = await open_engine(kind, options)
                stack.push_async_callback(opened[key].close)
            by_name[name] = opened[key]
        return by_name, stack.pop_all()
