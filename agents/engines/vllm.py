"""vLLM in this process: the default engine, on CPU and GPU.

The front end (AsyncLLM) lives in this process and event loop, the model in one child process, which is spawned: a script that opens the
engine needs the usual `if __name__ == "__main__"` guard. What would surprise a reader:

- `dtype: auto` here means what config.json says, but float32 on a CPU that would have to emulate bfloat16. vLLM's own "auto" turns
  float32 models into bfloat16.
- On CPU, vLLM by default takes 0.92 of the machine's memory, cuts the prefix cache into blocks of 128 tokens, and pins one thread to each
  core it likes, whoever else is there. Here: `kv_cache_gib`, blocks of 32, `cpu_threads` that the operating system may move, and no more of
  them than the model can use: the front end needs a core, too.
- On CPU, VLLM_ENABLE_V1_MULTIPROCESSING=0 does not put the model into this process; it saves a third one.
- On CPU, chunked prefill is off: a request with a seed whose prompt is split over two steps kills vLLM 0.32 ("CPU Generator does not use
  offset", gpu_model_runner._bookkeeping_sync), and 2048 waiting prompt tokens are enough for a split.
- On CPU, a request without an adapter that is batched with others that have one is computed with whatever lies in the last slot for
  adapters (vLLM 0.32 indexes with -1, lora/ops/torch_ops), so one slot more is asked for than can be filled: an empty one adds nothing.
- Sequences of the question that was begun first are the first to get a place and the last to give up their KV cache (`priority`).
- vLLM clips max_tokens at the context length without a word; `check_request` refuses instead.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from agents.engines.adapters import AdapterFiles, read_adapters, refuse_publication
from agents.engines.base import (
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    NextTokenScores,
    check_request,
    check_score,
    spread_seed,
)
from agents.engines.gate import Gate
from agents.engines.precision import own_dtype
from agents.engines.stopping import served_completion, tokens_that_say
from agents.engines.tokenizer import HFTokenizer, eos_token_ids
from agents.engines.vllm_plugin import PARENT
from agents.engines.weights import (
    check_same_architecture,
    count_parameters,
    find_folder,
    hash_text,
    hash_weights,
    read_config,
    tensor_shapes,
)
from agents.nouns import EngineError, EngineUnavailableError, Usage

DType = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

logger = logging.getLogger(__name__)

_GIB = 1 << 30
_CPU_KV_CACHE_GIB = 1.0
_WEIGHTS_PER_THREAD = 10_000_000
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM has kernels for


class VLLMEngine:
    """Generator and Publisher over an AsyncLLM. Make one with `open`, in the event loop that will use it."""

    def __init__(
        self,
        llm: Any,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        *,
        vocabulary_size: int,
        eos: frozenset[int],
        folder: Path | None,
        adapters: Mapping[str, Any] | None = None,
    ) -> None:
        self.info = info
        self.tokenizer = tokenizer
        self.version = 0
        self._llm = llm
        self._vocabulary_size = vocabulary_size
        self._eos = eos
        self._folder = folder
        self._adapters = adapters or {}
        """What vLLM wants to be told of each adapter, by name."""
        self._stops: dict[str, frozenset[int]] = {}
        """What `_tokens_of` has found."""
        self._opened = ExitStack()
        """Stops what `open` started, and removes the sockets between front end and child, which vLLM leaves lying."""
        self._gate = Gate(f"vLLM with {info.model}")
        self._names = itertools.count()

    @classmethod
    async def open(
        cls,
        *,
        model: str,
        tokenizer: str | None = None,
        adapters: Mapping[str, str] | None = None,
        dtype: DType = "auto",
        max_model_len: int | None = None,
        max_num_seqs: int = 64,
        kv_cache_gib: float | None = None,
        gpu_memory_utilization: float = 0.85,
        tensor_parallel_size: int = 1,
        block_size: int = 32,
        enforce_eager: bool | None = None,
        cpu_threads: int | None = None,
        seed: int = 0,
        log_level: LogLevel = "ERROR",
    ) -> VLLMEngine:
        """Starts vLLM and returns when it can serve: about 12 s on CPU with eager execution, most of it imports.

        Args:
            model: folder or hub id of the weights.
            tokenizer: folder or hub id of another tokenizer; None: the model's own.
            adapters: folders of LoRA adapters, by the name under which requests ask for them.
            dtype: numbers that weights and activations are held in; auto: what config.json says, but float32 on a CPU without bfloat16.
            max_model_len: longest prompt plus completion, in tokens; None: the model's own limit.
            max_num_seqs: sequences computed at once; n samples count n times.
            kv_cache_gib: memory for the KV cache, in GiB; None: 1 on CPU, on GPU what gpu_memory_utilization leaves.
            gpu_memory_utilization: share of the GPU's memory that the engine may take, in (0, 1]; without effect where kv_cache_gib is set.
            tensor_parallel_size: GPUs that one copy of the model is split over.
            block_size: tokens of a prefix-cache block.
            enforce_eager: no compilation; None: eager on CPU, compiled on GPU. On CPU compiling takes 35 s and a C++ compiler, and makes 5M
                weights 1.1 (batches of 64) to 1.6 (single requests) times as fast.
            cpu_threads: OpenMP threads on CPU; None: OMP_NUM_THREADS, or one for every 10M weights, at most the cores that it may use.
            seed: for requests without a seed.
            log_level: what vLLM writes to stderr.

        Raises:
            EngineUnavailableError: vLLM is not installed, or cannot load the model.
        """
        _end_a_child_that_repeats_its_parent()

        def prepare() -> tuple[Any, Any, HFTokenizer, Mapping[str, AdapterFiles], dict[str, str]]:
            """Reads files and imports vLLM, which takes 10 s."""
            folder = find_folder(model)
            config = read_config(folder) if folder is not None else {}
            files = read_adapters(adapters or {})
            rank = max((adapter.rank for adapter in files.values()), default=0)
            if rank > _LORA_RANKS[-1]:
                raise EngineUnavailableError(
                    f"engine.adapters: rank {rank} is above vLLM's highest ({_LORA_RANKS[-1]}); merge that adapter"
                )
            own_tokenizer = HFTokenizer(tokenizer or model)
            os.environ.setdefault("VLLM_LOGGING_LEVEL", log_level)  # vLLM reads it when it is imported, its child inherits it
            try:
                from vllm.engine.arg_utils import AsyncEngineArgs
                from vllm.platforms import current_platform
                from vllm.v1.engine.async_llm import AsyncLLM
            except ImportError as error:
                raise EngineUnavailableError(
                    f"vLLM cannot be imported ({error}); run `pip install longthought[gpu]` (on a machine without a GPU `make setup`, "
                    "which installs the CPU build), or set engine=transformers"
                ) from error
            on_cpu = current_platform.is_cpu()
            kv_gib = _CPU_KV_CACHE_GIB if kv_cache_gib is None and on_cpu else kv_cache_gib
            args = AsyncEngineArgs(
                model=model,
                tokenizer=tokenizer,
                dtype=own_dtype(config, on_cpu) if dtype == "auto" else dtype,
                max_model_len=max_model_len,
                max_num_seqs=max_num_seqs,
                scheduling_policy="priority",
                kv_cache_memory_bytes=None if kv_gib is None else int(kv_gib * _GIB),
                gpu_memory_utilization=gpu_memory_utilization,
                tensor_parallel_size=tensor_parallel_size,
                block_size=block_size,
                enable_chunked_prefill=False if on_cpu else None,
                enforce_eager=on_cpu if enforce_eager is None else enforce_eager,
                seed=seed,
                logprobs_mode="processed_logprobs",
                enable_lora=bool(files),
                max_loras=max(1, len(files) + on_cpu),
                max_lora_rank=next(known for known in _LORA_RANKS if known >= rank),
                worker_extension_cls="agents.engines.vllm_worker.WorkerExtension",
                disable_log_stats=True,
                use_tqdm_on_load=False,
            )
            environment = _cpu_environment(cpu_threads or default_threads(folder)) if on_cpu else {}
            return AsyncLLM, args, own_tokenizer, files, {PARENT: str(os.getpid())} | environment

        async_llm, args, own_tokenizer, files, environment = await asyncio.to_thread(prepare)
        with ExitStack() as opened:
            sockets = opened.enter_context(TemporaryDirectory(prefix="longthought-", ignore_cleanup_errors=True))
            try:
                with _environment(environment | {"VLLM_RPC_BASE_PATH": sockets}):
                    llm = await _start(async_llm, args)
            except Exception as error:  # vLLM raises RuntimeError, ValueError, OSError and pydantic's errors, depending on the version
                raise EngineUnavailableError(f"vLLM cannot serve {model!r}: {error}; set engine.log_level=INFO to see its log") from error
            opened.callback(llm.shutdown)

            def describe() -> VLLMEngine:
                from vllm.lora.request import LoRARequest

                folder = find_folder(model)
                info = EngineInfo(
                    kind="vllm",
                    model=model,
                    model_hash=hash_weights(folder) if folder is not None else hash_text(model),
                    tokenizer_hash=own_tokenizer.hash,
                    context_length=llm.model_config.max_model_len,
                    parameters=count_parameters(folder) if folder is not None else 0,
                    adapters={name: adapter.hash for name, adapter in files.items()},
                )
                served = {name: LoRARequest(name, number, adapter.folder) for number, (name, adapter) in enumerate(files.items(), start=1)}
                vocabulary_size = llm.model_config.get_vocab_size()
                eos = eos_token_ids(own_tokenizer, folder)
                return cls(llm, info, own_tokenizer, vocabulary_size=vocabulary_size, eos=eos, folder=folder, adapters=served)

            engine = await asyncio.to_thread(describe)
            engine._opened = opened.pop_all()
        return engine

    @property
    def in_flight(self) -> int:
        """Requests that have not ended."""
        return self._gate.in_flight

    @property
    def core_process_ids(self) -> list[int]:
        """Ids of the child processes that hold the model."""
        manager = self._llm.engine_core.resources.engine_manager
        return [process.pid for process in manager.processes] if manager is not None else []

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions, computed side by side from one prompt."""
        check_request(request, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._generate(request))

    async def score(self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0) -> NextTokenScores:
        """Returns the log-probability of each candidate as the next token."""
        check_score(prompt, candidates, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._score(prompt, candidates, priority))

    async def publish(self, folder: Path) -> int:
        """Loads the weights of `folder` in place and forgets the prefix cache. About 50 ms for 5M weights."""
        folder = Path(folder)
        refuse_publication(self.info.adapters)
        if self._folder is not None:
            check_same_architecture(folder, tensor_shapes(self._folder))
        async with self._gate.exclusive():
            try:
                await self._llm.pause_generation(mode="wait", clear_cache=True)
                await self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
                await self._llm.collective_rpc("repack_output_heads")
                if not await self._llm.reset_prefix_cache():
                    raise EngineError("vLLM could not reset its prefix cache: blocks are still held by requests")
                await self._llm.resume_generation()
            except asyncio.CancelledError:
                with suppress(Exception):  # a dead engine does not resume, and fails the next request
                    await self._llm.resume_generation()
                raise
            except Exception as error:
                raise self._gate.shut(f"died while it loaded {folder} ({error})") from error
            self.info = replace(self.info, model_hash=hash_weights(folder))
            self.version += 1
        return self.version

    async def forget(self) -> bool:
        """Empties the prefix cache; False where vLLM still holds blocks of it."""
        async with self._gate.exclusive():
            return bool(await self._llm.reset_prefix_cache())

    async def close(self) -> None:
        """Stops vLLM and its child process."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        await self._gate.close()
        if llm.output_handler is not None:
            llm.output_handler.cancel()  # it would report the end of the child as an error
        await asyncio.to_thread(self._opened.close)
        llm.shutdown = lambda timeout=None: None  # __del__ calls it again, at interpreter exit with half of its imports gone

    async def _generate(self, request: GenerateRequest) -> Generation:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        read_along = [stop for stop in request.stop if not self._tokens_of(stop)]
        params = SamplingParams(
            n=request.n,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            stop=read_along,
            stop_token_ids=[*request.stop_token_ids, *(token for stop in request.stop for token in self._tokens_of(stop))],
            include_stop_str_in_output=True,
            seed=None if request.seed is None else spread_seed(request.seed),
            logprobs=0,
            detokenize=bool(read_along),
            # Two outputs per sample: with its first token and at its end. With FINAL_ONLY the number of cached tokens would be that of
            # the sample that ended last, which finds the prompt in the cache because the first sample has just put it there.
            output_kind=RequestOutputKind.DELTA,
            stream_interval=request.max_tokens,
        )
        version, found = self.version, len(request.prompt)
        pieces: list[list[Any]] = [[] for _ in range(request.n)]
        async for output in self._send(request.prompt, params, request.priority, request.adapter):
            found = min(found, output.num_cached_tokens or 0)  # one number for several samples: that of the first of them
            for piece in output.outputs:
                pieces[piece.index].append(piece)
        completions = tuple(self._join(sample, request) for sample in pieces)
        generated = sum(len(completion.token_ids) for completion in completions)
        return Generation(completions, self._usage(request, found, generated), version)

    def _tokens_of(self, stop: str) -> frozenset[int]:
        """Returns the tokens that a stop string is as good as: vLLM's core ends a sequence with them by itself. None where it reads along:
        its front end then writes every token out, and stops the core a step late."""
        if stop not in self._stops:
            self._stops[stop] = tokens_that_say(stop, self.tokenizer, self._vocabulary_size)
        return self._stops[stop]

    def _usage(self, request: GenerateRequest, found: int, generated: int) -> Usage:
        """Returns what a request cost whose first sample found `found` tokens in the cache; the others find all full blocks."""
        block = self._llm.vllm_config.cache_config.block_size
        cached = found + (request.n - 1) * ((len(request.prompt) - 1) // block * block)
        return Usage(request.n * len(request.prompt), cached, generated, 1)

    def _join(self, pieces: Sequence[Any], request: GenerateRequest) -> Completion:
        """Returns the completion that vLLM sent in pieces."""
        token_ids = tuple(token for piece in pieces for token in piece.token_ids)
        steps = (pair for piece in pieces for pair in zip(piece.token_ids, piece.logprobs, strict=True))
        logprobs = tuple(step[token].logprob for token, step in steps)
        finish_reason, stop_reason = pieces[-1].finish_reason, pieces[-1].stop_reason
        if finish_reason not in ("stop", "length"):
            raise EngineError(f"vLLM ended a completion for the reason {finish_reason!r}")
        stop_reason = next((stop for stop in request.stop if stop_reason in self._tokens_of(stop)), stop_reason)
        return served_completion(token_ids, logprobs, finish_reason, stop_reason, tokenizer=self.tokenizer, eos_token_ids=self._eos)

    async def _score(self, prompt: Sequence[int], candidates: Sequence[int], priority: int) -> NextTokenScores:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=list(dict.fromkeys(candidates)),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        [output] = [output async for output in self._send(prompt, params, priority)]
        found = output.outputs[0].logprobs[0]
        logprobs = tuple(min(0.0, found[token].logprob) for token in candidates)
        return NextTokenScores(logprobs, Usage(len(prompt), output.num_cached_tokens or 0, 1, 1))

    async def _send(self, prompt: Sequence[int], params: Any, priority: int, adapter: str | None = None) -> AsyncIterator[Any]:
        """Yields vLLM's outputs for one request; cancelling the task aborts it."""
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        try:
            name = f"request-{next(self._names)}"
            lora = self._adapters[adapter] if adapter is not None else None
            async for output in self._llm.generate(tokens_input(list(prompt)), params, name, lora_request=lora, priority=priority):
                yield output
        except EngineDeadError as error:
            raise self._gate.shut("died: its child process is gone (memory? set engine.log_level=INFO)") from error
        except EngineGenerateError as error:
            raise EngineError(f"vLLM failed on a request: {error.__cause__ or error}") from error


def _end_a_child_that_repeats_its_parent() -> None:
    """A spawned child imports its parent's script; one without the guard would open an engine in it, and so on. Ends such a child."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(
            'error: the script opens an engine while it is imported; put what it does under `if __name__ == "__main__":`', file=sys.stderr
        )
        os._exit(1)


async def _start(async_llm: Any, args: Any) -> Any:
    """Starts vLLM in a thread. Where the caller is cancelled meanwhile, the child is killed: nobody would listen to it any more."""
    others = set(multiprocessing.active_children())
    starting = asyncio.ensure_future(asyncio.to_thread(_start_deaf, async_llm, args))
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


def _start_deaf(async_llm: Any, args: Any) -> Any:
    """Starts vLLM in the calling thread. Ctrl-C is this process's to handle: the child that holds the model is born with SIGINT blocked."""
    resource_tracker.ensure_running()  # otherwise the spawn would start it, which unblocks SIGINT on its way
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return async_llm.from_engine_args(args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default_threads(folder: Path | None) -> int:
    """Returns the OpenMP threads on a CPU, where nobody says, of the model in `folder`; of one that is not here (None) all cores.

    Threads that share the matrices of a small model wait for each other, and on few cores for the front end (measured with the pocket, lab
    log). One for every 10M weights, at most the cores that this process may use, is a guess that gives the pocket one.
    """
    if said := int(os.environ.get("OMP_NUM_THREADS") or 0):
        return said
    cores, weights = len(os.sched_getaffinity(0)), 0
    with suppress(ValueError):  # a damaged file is the engine's to report
        weights = count_parameters(folder) if folder is not None else 0
    return min(math.ceil(weights / _WEIGHTS_PER_THREAD), cores) or cores


def _cpu_environment(threads: int) -> dict[str, str]:
    """Returns the environment that vLLM's CPU child is started in."""
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
    """Sets environment variables for a while. What the user has set stays, except the number of threads."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if before[name] is None or name == "OMP_NUM_THREADS"})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
