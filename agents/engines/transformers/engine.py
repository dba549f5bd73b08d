"""Engine with plain torch and transformers, for machines without vLLM, and the
reference for the other engines.

Requests run one after another in one worker thread; the n samples of a request form one
batch, and their prompt is computed once. There is no prefix cache between requests. The
engine has its own sampling loop, because `generate` of transformers does not return the
log-probabilities of sampled tokens under top_p.

Deterministic: sample i of a request has its own generator, so its random numbers depend
on (seed, i) alone, not on n. The batch size may change the low bits of its logits.
Greedy requests are batches of one, so other requests do not affect them.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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
from agents.engines.stopping import Ending, find_ending
from agents.engines.tokenizer import HFTokenizer, eos_token_ids
from agents.engines.weights import (
    check_same_architecture,
    find_folder,
    hash_text,
    hash_weights,
    recommended_sampling,
    tensor_shapes,
    weight_files,
)
from agents.types import EngineError, EngineUnavailableError, Usage

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
DType = Literal["auto", "float32", "bfloat16", "float16"]


class TransformersEngine:
    """Generator and Publisher over a causal language model of transformers. Create it
    with `open`.
    """

    def __init__(
        self,
        model: Any,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        *,
        max_num_seqs: int,
        seed: int,
        folder: Path | None,
    ) -> None:
        self.info = info
        self.tokenizer = tokenizer
        self.version = 0
        self._model = model
        self._max_num_seqs = max_num_seqs
        self._next_seed = seed  # increases by one with each request without a seed
        self._folder = folder
        self._eos = eos_token_ids(tokenizer, folder)
        self._vocabulary_size: int = model.config.get_text_config().vocab_size
        self._gate = Gate(f"transformers with {info.model}")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="longthought-transformers")

    @classmethod
    async def open(cls, **options: Any) -> TransformersEngine:
        """Loads a model in a thread; the options are those of `load`."""
        return await asyncio.to_thread(lambda: cls.load(**options))

    @classmethod
    def load(
        cls,
        *,
        model: str,
        tokenizer: str | None = None,
        adapters: Mapping[str, str] | None = None,
        dtype: DType = "float32",
        device: str = "auto",
        max_model_len: int | None = None,
        max_num_seqs: int = 64,
        seed: int = 0,
    ) -> TransformersEngine:
        """Loads a model.

        Args:
            model: folder or hub id of the weights.
            tokenizer: folder or hub id of another tokenizer; None: the model's own.
            adapters: folders of LoRA adapters by name; requests refer to these names.
            dtype: data type of weights and activations; auto: that of config.json.
            device: cpu, cuda, cuda:1, mps; auto: cuda if available, else cpu.
            max_model_len: maximum length of prompt plus completion, in tokens; None:
                the model's own limit.
            max_num_seqs: maximum batch size; a request with more samples runs in
                several batches.
            seed: for requests without a seed.

        Raises:
            EngineUnavailableError: torch is not installed (or PEFT, for adapters), or
                the model or an adapter cannot be loaded.
        """
        device = resolve_device(device)
        folder = find_folder(model)
        files = read_adapters(adapters or {})
        own_tokenizer = HFTokenizer(tokenizer or model)
        try:
            from transformers import AutoModelForCausalLM

            with no_progress_bar():
                loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
            parameters = sum(parameter.numel() for parameter in loaded.parameters())
            loaded = _with_adapters(loaded, files).to(device).eval().requires_grad_(False)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise EngineUnavailableError(f"transformers cannot load {model!r}: {error}") from error
        folder = folder or find_folder(model)
        info = EngineInfo(
            kind="transformers",
            model=model,
            model_hash=hash_weights(folder) if folder is not None else hash_text(model),
            tokenizer_hash=own_tokenizer.hash,
            context_length=context_length_of(loaded, model, max_model_len),
            parameters=parameters,
            adapters={name: adapter.hash for name, adapter in files.items()},
            sampling=recommended_sampling(folder),
        )
        return cls(loaded, info, own_tokenizer, max_num_seqs=max_num_seqs, seed=seed, folder=folder)

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended."""
        return self._gate.in_flight

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions."""
        check_request(request, self.info, self._vocabulary_size)
        if request.seed is None:
            request = replace(request, seed=self._next_seed)
            self._next_seed += 1
        return await self._gate.run(
            lambda: self._in_worker(lambda stop: self._generate(request, stop))
        )

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each candidate as the next token."""
        check_score(prompt, candidates, self.info, self._vocabulary_size)
        return await self._gate.run(
            lambda: self._in_worker(lambda stop: self._score(prompt, candidates))
        )

    async def publish(self, folder: Path) -> int:
        """Copies the weights of `folder` into the model."""
        folder = Path(folder)
        refuse_publication(self.info.adapters)
        check_same_architecture(
            folder, tensor_shapes(self._folder) if self._folder else self._shapes()
        )
        async with self._gate.exclusive():
            await self._in_worker(lambda stop: self._load(folder))
            self.info = replace(self.info, model_hash=hash_weights(folder))
            self.version += 1
        return self.version

    async def close(self) -> None:
        """Stops the worker and frees the model."""
        await self._gate.close()
        self._worker.shutdown(wait=False)
        self._model = None

    async def _in_worker(self, work: Callable[[threading.Event], T]) -> T:
        """Runs `work` in the worker thread. On cancellation, sets the event and waits
        until the current token is computed.
        """
        stop = threading.Event()
        future = self._worker.submit(work, stop)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            stop.set()
            if not future.cancel():  # `work` has started; asyncio's own future does not show it
                with suppress(Exception):
                    await waiting
            raise
        # torch: out of memory, device lost, a broken model
        except (RuntimeError, MemoryError) as error:
            raise self._gate.shut(f"died: {error}") from error

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        state = {
            name: tensor
            for file in weight_files(folder)
            for name, tensor in load_file(file).items()
        }
        missing, unexpected = self._model.load_state_dict(state, strict=False)
        if unexpected or set(missing) - {"lm_head.weight"}:
            raise EngineError(
                f"{folder} does not fit the model: missing {missing[:3]}, unexpected "
                f"{unexpected[:3]}"
            )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self._model.state_dict().items()}

    def _generate(self, request: GenerateRequest, stop: threading.Event) -> Generation:
        import torch

        assert request.seed is not None
        samples = [
            _Sample(torch.Generator().manual_seed(spread_seed(request.seed) + i))
            for i in range(request.n)
        ]
        with torch.inference_mode(), self._adapted(request.adapter):
            for start in range(0, request.n, self._max_num_seqs):
                self._complete(request, samples[start : start + self._max_num_seqs], stop)
        completions = tuple(sample.completion() for sample in samples)
        generated = sum(len(completion.token_ids) for completion in completions)
        read = request.n * len(request.prompt)
        # the prompt is computed once per batch
        computed = math.ceil(request.n / self._max_num_seqs) * len(request.prompt)
        return Generation(completions, Usage(read, read - computed, generated, 1), self.version)

    def _complete(
        self, request: GenerateRequest, samples: Sequence[_Sample], stop: threading.Event
    ) -> None:
        """Generates until all `samples` have ended; finished samples leave the
        batch.
        """
        import torch

        running = list(samples)
        logits, cache = self._forward([request.prompt], None)
        if len(running) > 1:
            cache.batch_repeat_interleave(len(running))
            logits = logits.expand(len(running), -1)
        while True:
            logits = _penalized(logits, request, running)
            tokens, logprobs = _sample(logits, request, [sample.generator for sample in running])
            running_rows: list[int] = []
            for row, sample in enumerate(running):
                sample.token_ids.append(tokens[row])
                sample.logprobs.append(logprobs[row] if request.logprobs else math.nan)
                text = self.tokenizer.decode(sample.token_ids) if request.stop else ""
                sample.ending = find_ending(sample.token_ids, text, request, self._eos)
                if sample.ending is None:
                    running_rows.append(row)
                elif not request.stop:
                    sample.ending = replace(
                        sample.ending, text=self.tokenizer.decode(sample.token_ids)
                    )
            if not running_rows or stop.is_set():
                return
            if len(running_rows) < len(running):
                cache.batch_select_indices(torch.tensor(running_rows, device=logits.device))
                running = [running[row] for row in running_rows]
            logits, cache = self._forward([[sample.token_ids[-1]] for sample in running], cache)

    def _score(self, prompt: Sequence[int], candidates: Sequence[int]) -> NextTokenScores:
        import torch

        with torch.inference_mode(), self._adapted(None):
            logits, _ = self._forward([prompt], None)
            logprobs = logits[0].log_softmax(-1)[list(candidates)].tolist()
        return NextTokenScores(tuple(logprobs), Usage(len(prompt), 0, 1, 1))

    @contextmanager
    def _adapted(self, adapter: str | None) -> Iterator[None]:
        """Activates one adapter, or disables all, within the context. All computation
        runs in one thread.
        """
        if not self.info.adapters:
            yield
        elif adapter is None:
            with self._model.disable_adapter():
                yield
        else:
            self._model.set_adapter(adapter)
            yield

    def _forward(self, rows: Sequence[Sequence[int]], cache: Any) -> tuple[torch.Tensor, Any]:
        """Runs the model on `rows` of equal length and returns the last position's
        logits [B, V] in float32, and the KV cache.
        """
        import torch

        input_ids = torch.tensor([list(row) for row in rows], device=self._model.device)
        output = self._model(
            input_ids=input_ids, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[:, -1].float(), output.past_key_values


def resolve_device(device: str) -> str:
    """Returns `device`; for auto: cuda if available, else cpu.

    Raises:
        EngineUnavailableError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise EngineUnavailableError(
            f"the transformers engine needs torch ({error}); run `make setup`, or `pip install "
            "longthought[train]`"
        ) from error
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def context_length_of(
    loaded: Any, model: str, max_model_len: int | None, place: str = "engine"
) -> int:
    """Returns the maximum length of prompt plus completion, in tokens. `place`: config
    group of the engine's options, for errors.

    Raises:
        EngineUnavailableError: neither config.json nor `max_model_len` gives a length,
            or `max_model_len` exceeds the model's positions.
    """
    own_length: int | None = getattr(
        loaded.config.get_text_config(), "max_position_embeddings", None
    )
    context_length = max_model_len or own_length
    if context_length is None:
        raise EngineUnavailableError(
            f"config.json of {model!r} names no max_position_embeddings; set {place}.max_model_len"
        )
    if own_length is not None and context_length > own_length:
        raise EngineUnavailableError(
            f"{place}.max_model_len ({context_length}) exceeds the {own_length} positions of "
            f"{model!r}; lower it"
        )
    return context_length


def _with_adapters(model: Any, adapters: Mapping[str, AdapterFiles]) -> Any:
    """Returns the model with all adapters loaded; the model itself if there are
    none.
    """
    if not adapters:
        return model
    from peft import PeftModel

    (first, files), *others = adapters.items()
    adapted = PeftModel.from_pretrained(model, files.folder, adapter_name=first)
    for name, files in others:
        adapted.load_adapter(files.folder, adapter_name=name)
    return adapted


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Silences the progress bars of transformers."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()


@dataclass(slots=True)
class _Sample:
    """One completion in progress."""

    generator: torch.Generator
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ending: Ending | None = None

    def completion(self) -> Completion:
        if self.ending is None:
            raise EngineError("the request was cancelled")
        return Completion(
            self.ending.text,
            tuple(self.token_ids),
            tuple(self.logprobs),
            self.ending.finish_reason,
            self.ending.stop_reason,
        )


def _sample(
    logits: torch.Tensor, request: GenerateRequest, generators: Sequence[torch.Generator]
) -> tuple[list[int], list[float]]:
    """Samples one token per row of `logits` [B, V]. Returns the tokens and their
    log-probabilities under the sampling distribution.
    """
    import torch

    if request.temperature == 0:
        logprobs = logits.log_softmax(-1)
        tokens = logprobs.argmax(-1, keepdim=True)
    else:
        logprobs = _restricted(logits / request.temperature, request).log_softmax(-1)
        uniform = torch.stack(
            [torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators]
        )
        cumulative = logprobs.double().exp().cumsum(-1)
        tokens = torch.searchsorted(
            cumulative, uniform.to(logits.device) * cumulative[:, -1:], right=True
        ).clamp_(max=logits.shape[-1] - 1)
    return tokens[:, 0].tolist(), logprobs.gather(-1, tokens)[:, 0].tolist()


def _penalized(
    logits: torch.Tensor, request: GenerateRequest, samples: Sequence[_Sample]
) -> torch.Tensor:
    """Returns `logits` [B, V] after the repetition penalty: of the tokens in the prompt
    or the completion, positive logits are divided by it and negative ones multiplied.
    """
    if request.repetition_penalty == 1:
        return logits
    logits = logits.clone()
    for row, sample in zip(logits, samples, strict=True):
        seen = list({*request.prompt, *sample.token_ids})
        row[seen] = row[seen].where(row[seen] <= 0, row[seen] / request.repetition_penalty)
        row[seen] = row[seen].where(row[seen] >= 0, row[seen] * request.repetition_penalty)
    return logits


def _restricted(logits: torch.Tensor, request: GenerateRequest) -> torch.Tensor:
    """Returns `logits` [B, V] with -inf for the tokens that min_p, top_k and top_p
    exclude, in this order, as vLLM does.
    """
    if request.min_p > 0:
        least = logits.amax(-1, keepdim=True) + math.log(request.min_p)
        logits = logits.masked_fill(logits < least, -math.inf)
    if 0 < request.top_k < logits.shape[-1]:
        least = logits.topk(request.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if request.top_p < 1:
        ascending, order = logits.sort(-1)
        outside = ascending.softmax(-1).cumsum(-1) <= 1 - request.top_p
        outside[:, -1] = False
        logits = logits.masked_fill(outside.scatter(-1, order, outside), -math.inf)
    return logits
