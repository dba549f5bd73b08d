"""Starts and stops vLLM, for the generating engine and for the classifier.

The front end (AsyncLLM) runs in this process and event loop, the model in one child
process, which is spawned: a script that opens the engine needs the usual `if __name__
== "__main__"` guard. Surprising choices:

- `dtype: auto` selects the dtype of config.json, except float32 on a CPU that would
  have to emulate bfloat16. vLLM's own "auto" converts float32 models to bfloat16.
- On CPU, vLLM by default takes 0.92 of the machine's memory, uses prefix-cache blocks
  of 128 tokens, and pins one thread to each core without regard to other processes. The
  defaults here are `kv_cache_gib`, blocks of 32, and `cpu_threads` that are not pinned
  and no more than the model can use, since the front end needs a core, too.
- On CPU, VLLM_ENABLE_V1_MULTIPROCESSING=0 does not move the model into this process; it
  saves a third process.
- On CPU, chunked prefill is off: a seeded request whose prompt is split over two steps
  crashes vLLM 0.32 ("CPU Generator does not use offset",
  gpu_model_runner._bookkeeping_sync), and 2048 waiting prompt tokens suffice for a
  split.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agents.engines.base import EngineInfo
from agents.engines.gate import Gate
from agents.engines.precision import own_dtype
from agents.engines.tokenizer import HFTokenizer
from agents.engines.vllm.options import VllmOptions
from agents.engines.vllm.plugin import PARENT
from agents.engines.weights import (
    count_parameters,
    find_folder,
    hash_text,
    hash_weights,
    read_config,
    recommended_sampling,
)
from agents.types import EngineError, EngineUnavailableError

_GIB = 1 << 30
_CPU_KV_CACHE_GIB = 1.0
_WEIGHTS_PER_THREAD = 10_000_000


class FrontEnd:
    """An AsyncLLM behind a gate: base class of the generating engine and the
    classifier.
    """

    def __init__(self, llm: Any, name: str, place: str = "engine") -> None:
        """`name`: the engine's name in errors; `place`: see `start_vllm`."""
        self._llm = llm
        self._place = place
        self._opened = ExitStack()
        """Stops what `start_vllm` started."""
        self._gate = Gate(name)
        self._names = itertools.count()

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended."""
        return self._gate.in_flight

    @property
    def core_process_ids(self) -> list[int]:
        """Ids of the child processes that run the model."""
        manager = self._llm.engine_core.resources.engine_manager
        return [process.pid for process in manager.processes] if manager is not None else []

    async def reset_cache(self) -> bool:
        """Empties the prefix cache; returns False if vLLM still holds blocks of it."""
        async with self._gate.exclusive():
            return bool(await self._llm.reset_prefix_cache())

    async def close(self) -> None:
        """Stops vLLM and its child process, and removes the sockets between them, which
        vLLM does not delete.
        """
        llm, self._llm = self._llm, None
        if llm is None:
            return
        await self._gate.close()
        if llm.output_handler is not None:
            llm.output_handler.cancel()  # it would report the end of the child as an error
        await asyncio.to_thread(self._opened.close)
        # __del__ calls it again, at interpreter exit with half of its imports gone
        llm.shutdown = lambda timeout=None: None

    async def _translate_errors(self, outputs: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yields vLLM's outputs for one request and converts its errors to ours; a dead
        vLLM shuts the gate.
        """
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        try:
            async for output in outputs:
                yield output
        except EngineDeadError as error:
            raise self._gate.shut(
                f"died: its child process is gone (out of memory? set {self._place}.log_level=INFO)"
            ) from error
        except EngineGenerateError as error:
            raise EngineError(f"vLLM failed on a request: {error.__cause__ or error}") from error


async def start_vllm(
    options: VllmOptions,
    more: Callable[[bool], Mapping[str, Any]],
    *,
    place: str = "engine",
) -> tuple[Any, HFTokenizer, ExitStack]:
    """Returns a running AsyncLLM, its tokenizer, and a stack that stops it.

    `more(on_cpu)` returns further arguments of AsyncEngineArgs; `place` is the config
    group of the engine's options, for errors.

    Raises:
        EngineUnavailableError: vLLM is not installed, or cannot load the model.
    """
    _exit_if_spawned_child()

    def prepare() -> tuple[Any, Any, HFTokenizer, dict[str, str]]:
        """Reads files and imports vLLM, which takes 10 s."""
        folder = find_folder(options.model)
        config = read_config(folder) if folder is not None else {}
        own_tokenizer = HFTokenizer(options.tokenizer or options.model)
        # vLLM reads it at import, and its child inherits it
        os.environ.setdefault("VLLM_LOGGING_LEVEL", options.log_level)
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineUnavailableError(
                f"vLLM cannot be imported ({error}); run `pip install longthought[gpu]` (on a "
                "machine without a GPU `make setup`, which installs the CPU build), or set "
                f"engine{'' if place == 'engine' else '@' + place}=transformers"
            ) from error
        on_cpu = current_platform.is_cpu()
        kv_gib = options.kv_cache_gib
        if kv_gib is None and on_cpu:
            kv_gib = _CPU_KV_CACHE_GIB
        args = AsyncEngineArgs(
            model=options.model,
            tokenizer=options.tokenizer,
            dtype=own_dtype(config, on_cpu) if options.dtype == "auto" else options.dtype,
            max_model_len=options.max_model_len,
            max_num_seqs=options.max_num_seqs,
            scheduling_policy="priority",
            kv_cache_memory_bytes=None if kv_gib is None else int(kv_gib * _GIB),
            gpu_memory_utilization=options.gpu_memory_utilization,
            tensor_parallel_size=options.tensor_parallel_size,
            block_size=options.block_size,
            enable_chunked_prefill=False if on_cpu else None,
            enforce_eager=on_cpu if options.enforce_eager is None else options.enforce_eager,
            disable_log_stats=True,
            use_tqdm_on_load=False,
            **more(on_cpu),
        )
        environment = (
            _cpu_environment(options.cpu_threads or default_threads(folder)) if on_cpu else {}
        )
        return AsyncLLM, args, own_tokenizer, {PARENT: str(os.getpid())} | environment

    async_llm, args, own_tokenizer, environment = await asyncio.to_thread(prepare)
    with ExitStack() as opened:
        sockets = opened.enter_context(
            TemporaryDirectory(prefix="longthought-", ignore_cleanup_errors=True)
        )
        try:
            with _environment(environment | {"VLLM_RPC_BASE_PATH": sockets}):
                llm = await _start(async_llm, args)
        # vLLM raises RuntimeError, ValueError, OSError and pydantic's errors, depending
        # on the version
        except Exception as error:
            raise EngineUnavailableError(
                f"vLLM cannot serve {options.model!r}: {error}; set {place}.log_level=INFO to see "
                "its log"
            ) from error
        opened.callback(llm.shutdown)
        return llm, own_tokenizer, opened.pop_all()


def describe_model(
    model: str, llm: Any, tokenizer: HFTokenizer, adapters: Mapping[str, str] | None = None
) -> EngineInfo:
    """Returns the description of a started vLLM; `adapters`: hashes by name."""
    folder = find_folder(model)
    return EngineInfo(
        kind="vllm",
        model=model,
        model_hash=hash_weights(folder) if folder is not None else hash_text(model),
        tokenizer_hash=tokenizer.hash,
        context_length=llm.model_config.max_model_len,
        parameters=count_parameters(folder) if folder is not None else 0,
        adapters=dict(adapters or {}),
        sampling=recommended_sampling(folder),
    )


def _exit_if_spawned_child() -> None:
    """Exits if this process is a spawned child that imports its parent's script:
    without the `__main__` guard it would open an engine and spawn further children.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(
            "error: the script opens an engine while it is imported; put its code under `if "
            '__name__ == "__main__":`',
            file=sys.stderr,
        )
        os._exit(1)


async def _start(async_llm: Any, args: Any) -> Any:
    """Starts vLLM in a thread. If the caller is cancelled meanwhile, kills the
    child.
    """
    others = set(multiprocessing.active_children())
    starting = asyncio.ensure_future(asyncio.to_thread(_start_without_sigint, async_llm, args))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        while not starting.done():
            for child in set(multiprocessing.active_children()) - others:
                child.kill()
            await asyncio.wait([starting], timeout=0.2)
        if starting.exception() is None:
            starting.result().shutdown()
        raise


def _start_without_sigint(async_llm: Any, args: Any) -> Any:
    """Starts vLLM in the calling thread, with SIGINT blocked in the child: only this
    process handles Ctrl-C.
    """
    # otherwise the spawn would start the tracker, which unblocks SIGINT
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return async_llm.from_engine_args(args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default_threads(folder: Path | None) -> int:
    """Returns the number of OpenMP threads on a CPU: OMP_NUM_THREADS if set, else one
    per 10M weights of the model in `folder`, at most the cores that this process may
    use; all cores if `folder` is None.

    Threads of a small model wait for each other, and on few cores for the front end
    (measured with the pocket, lab log). One per 10M weights is a guess that gives the
    pocket one thread.
    """
    if configured := int(os.environ.get("OMP_NUM_THREADS") or 0):
        return configured
    cores, weights = len(os.sched_getaffinity(0)), 0
    with suppress(ValueError):  # the engine reports a damaged file
        weights = count_parameters(folder) if folder is not None else 0
    return min(math.ceil(weights / _WEIGHTS_PER_THREAD), cores) or cores


def _cpu_environment(threads: int) -> dict[str, str]:
    """Returns the environment variables of vLLM's child process on CPU."""
    return {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONWARNINGS": "ignore",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "TORCH_LOGS": "-torch._library",
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables within the context. Variables that the user has set
    keep their values, except the number of threads.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(
        {
            name: value
            for name, value in values.items()
            if before[name] is None or name == "OMP_NUM_THREADS"
        }
    )
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
