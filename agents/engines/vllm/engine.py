"""Engine with vLLM, the default on CPU and GPU. agents/engines/vllm/process.py
documents how vLLM is started.

- Sequences with the smallest `priority` number, those of the oldest question, are
  scheduled first and preempted last.
- On CPU, a request without an adapter, batched with requests that have one, is computed
  with the adapter in the last slot (vLLM 0.32 indexes with -1, lora/ops/torch_ops). So
  the engine requests one slot more than there are adapters; an empty slot adds nothing.
- vLLM silently clips max_tokens at the context length; `check_request` refuses such
  requests instead.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.engines.adapters import read_adapters, refuse_publication
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
from agents.engines.stopping import served_completion, tokens_containing
from agents.engines.tokenizer import HFTokenizer, eos_token_ids
from agents.engines.vllm.options import VllmOptions
from agents.engines.vllm.process import FrontEnd, describe_model, start_vllm
from agents.engines.weights import check_same_architecture, find_folder, hash_weights, tensor_shapes
from agents.types import EngineError, EngineUnavailableError, Usage

_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # ranks that vLLM supports


class VLLMEngine(FrontEnd):
    """Generator and Publisher over an AsyncLLM. Create it with `open`, in the event
    loop that will use it.
    """

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
        super().__init__(llm, f"vLLM with {info.model}")
        self.info = info
        self.tokenizer = tokenizer
        self.version = 0
        self._vocabulary_size = vocabulary_size
        self._eos = eos
        self._folder = folder
        self._adapters = adapters or {}
        """vLLM's LoRARequest of each adapter, by name."""
        self._stops: dict[str, frozenset[int]] = {}
        """Cache of `_tokens_of`."""

    @classmethod
    async def open(cls, options: VllmOptions) -> VLLMEngine:
        """Starts vLLM and returns when it is ready.

        Raises:
            EngineUnavailableError: vLLM is not installed, or cannot load the model.
        """
        files = await asyncio.to_thread(read_adapters, options.adapters)
        rank = max((adapter.rank for adapter in files.values()), default=0)
        if rank > _LORA_RANKS[-1]:
            raise EngineUnavailableError(
                f"engine.adapters: rank {rank} exceeds vLLM's maximum ({_LORA_RANKS[-1]}); merge "
                "that adapter into the model"
            )

        def more(on_cpu: bool) -> dict[str, Any]:
            return {
                "seed": options.seed,
                "logprobs_mode": "processed_logprobs",
                "enable_lora": bool(files),
                "max_loras": max(1, len(files) + on_cpu),
                "max_lora_rank": next(known for known in _LORA_RANKS if known >= rank),
                "worker_extension_cls": "agents.engines.vllm.worker.WorkerExtension",
            }

        llm, own_tokenizer, started = await start_vllm(options, more)
        with started as opened:

            def describe() -> VLLMEngine:
                from vllm.lora.request import LoRARequest

                folder = find_folder(options.model)
                info = describe_model(
                    options.model,
                    llm,
                    own_tokenizer,
                    adapters={name: adapter.hash for name, adapter in files.items()},
                )
                served = {
                    name: LoRARequest(name, number, adapter.folder)
                    for number, (name, adapter) in enumerate(files.items(), start=1)
                }
                vocabulary_size = llm.model_config.get_vocab_size()
                eos = eos_token_ids(own_tokenizer, folder)
                return cls(
                    llm,
                    info,
                    own_tokenizer,
                    vocabulary_size=vocabulary_size,
                    eos=eos,
                    folder=folder,
                    adapters=served,
                )

            engine = await asyncio.to_thread(describe)
            engine._opened = opened.pop_all()
        return engine

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions, sampled in parallel."""
        check_request(request, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._generate(request))

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each candidate as the next token."""
        check_score(prompt, candidates, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._score(prompt, candidates, priority))

    async def publish(self, folder: Path) -> int:
        """Loads the weights of `folder` in place and resets the prefix cache; takes
        about 50 ms for 5M weights.
        """
        folder = Path(folder)
        refuse_publication(self.info.adapters)
        if self._folder is not None:
            check_same_architecture(folder, tensor_shapes(self._folder))
        async with self._gate.exclusive():
            try:
                await self._llm.pause_generation(mode="wait", clear_cache=True)
                await self._llm.collective_rpc(
                    "reload_weights", kwargs={"weights_path": str(folder)}
                )
                await self._llm.collective_rpc("repack_output_heads")
                if not await self._llm.reset_prefix_cache():
                    raise EngineError(
                        "vLLM could not reset its prefix cache: requests still hold blocks"
                    )
                await self._llm.resume_generation()
            except asyncio.CancelledError:
                # if vLLM is dead it cannot resume, and the next request fails
                with suppress(Exception):
                    await self._llm.resume_generation()
                raise
            except Exception as error:
                raise self._gate.shut(f"died while it loaded {folder} ({error})") from error
            self.info = replace(self.info, model_hash=hash_weights(folder))
            self.version += 1
        return self.version

    async def _generate(self, request: GenerateRequest) -> Generation:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        text_stops = [stop for stop in request.stop if not self._tokens_of(stop)]
        params = SamplingParams(
            n=request.n,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            min_p=request.min_p,
            repetition_penalty=request.repetition_penalty,
            stop=text_stops,
            stop_token_ids=[
                *request.stop_token_ids,
                *(token for stop in request.stop for token in self._tokens_of(stop)),
            ],
            include_stop_str_in_output=True,
            seed=None if request.seed is None else spread_seed(request.seed),
            logprobs=0 if request.logprobs else None,
            detokenize=bool(text_stops),
            # Two outputs per sample: at its first token and at its end. FINAL_ONLY
            # would report the cached tokens of the sample that ended last, which finds
            # the prompt in the cache because the first sample has just computed it.
            output_kind=RequestOutputKind.DELTA,
            stream_interval=request.max_tokens,
        )
        version, found = self.version, len(request.prompt)
        pieces: list[list[Any]] = [[] for _ in range(request.n)]
        async for output in self._send(request.prompt, params, request.priority, request.adapter):
            # shared by all samples; the minimum is that of the first sample
            found = min(found, output.num_cached_tokens or 0)
            for piece in output.outputs:
                pieces[piece.index].append(piece)
        completions = tuple(self._join(sample, request) for sample in pieces)
        generated = sum(len(completion.token_ids) for completion in completions)
        return Generation(completions, self._usage(request, found, generated), version)

    def _tokens_of(self, stop: str) -> frozenset[int]:
        """Returns the stop tokens that are equivalent to a stop string, at which vLLM's
        core itself ends a sequence. The empty set if there are none: vLLM's front end
        must then detokenize every token, and stops the core one step late.
        """
        if stop not in self._stops:
            self._stops[stop] = tokens_containing(stop, self.tokenizer, self._vocabulary_size)
        return self._stops[stop]

    def _usage(self, request: GenerateRequest, found: int, generated: int) -> Usage:
        """Returns the usage of a request whose first sample found `found` tokens in the
        cache; the other samples find all full blocks.
        """
        block = self._llm.vllm_config.cache_config.block_size
        cached = found + (request.n - 1) * ((len(request.prompt) - 1) // block * block)
        return Usage(request.n * len(request.prompt), cached, generated, 1)

    def _join(self, pieces: Sequence[Any], request: GenerateRequest) -> Completion:
        """Joins the partial outputs of one sample to a completion."""
        token_ids = tuple(token for piece in pieces for token in piece.token_ids)
        logprobs: tuple[float, ...] = (math.nan,) * len(token_ids)
        if request.logprobs:
            steps = (
                pair
                for piece in pieces
                for pair in zip(piece.token_ids, piece.logprobs, strict=True)
            )
            logprobs = tuple(step[token].logprob for token, step in steps)
        finish_reason, stop_reason = pieces[-1].finish_reason, pieces[-1].stop_reason
        if finish_reason not in ("stop", "length"):
            raise EngineError(
                f"vLLM ended a completion with the unknown finish reason {finish_reason!r}"
            )
        stop_reason = next(
            (stop for stop in request.stop if stop_reason in self._tokens_of(stop)), stop_reason
        )
        return served_completion(
            token_ids,
            logprobs,
            finish_reason,
            stop_reason,
            tokenizer=self.tokenizer,
            eos_token_ids=self._eos,
        )

    async def _score(
        self, prompt: Sequence[int], candidates: Sequence[int], priority: int
    ) -> NextTokenScores:
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

    async def _send(
        self, prompt: Sequence[int], params: Any, priority: int, adapter: str | None = None
    ) -> AsyncIterator[Any]:
        """Yields vLLM's outputs for one request; cancelling the task aborts it."""
        from vllm.inputs import tokens_input

        name = f"request-{next(self._names)}"
        lora = self._adapters[adapter] if adapter is not None else None
        outputs = self._llm.generate(
            tokens_input(list(prompt)), params, name, lora_request=lora, priority=priority
        )
        async for output in self._translate_errors(outputs):
            yield output
