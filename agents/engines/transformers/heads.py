"""Classifier with plain torch and transformers: for machines without vLLM, for
training, and as the reference for vLLM.

Prompts that arrive during a forward pass form the next batch, those with the smallest
priority number first. There is no prefix cache.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.engines.base import Classification, EngineInfo, check_classify
from agents.engines.gate import Gate
from agents.engines.heads_folder import read_labels
from agents.engines.tokenizer import HFTokenizer
from agents.engines.transformers.engine import (
    DType,
    context_length_of,
    no_progress_bar,
    resolve_device,
)
from agents.engines.weights import count_parameters, find_folder, hash_weights
from agents.types import EngineUnavailableError, Usage

if TYPE_CHECKING:
    import torch

_CPU_BATCH = 8


class TransformersClassifier:
    """Classifier over a sequence classification model of transformers. Create it with
    `open`.
    """

    def __init__(
        self,
        model: Any,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        labels: tuple[str, ...],
        *,
        max_num_seqs: int,
    ) -> None:
        self.info = info
        self.tokenizer = tokenizer
        self.labels = labels
        self._model = model
        self._max_num_seqs = max_num_seqs
        self._vocabulary_size: int = model.config.get_text_config().vocab_size
        self._gate = Gate(f"transformers with the heads of {info.model}")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="longthought-heads")
        self._waiting: list[tuple[int, int, Sequence[int], asyncio.Future[list[float]]]] = []
        """Heap of (priority, arrival number, prompt, future of its outputs)."""
        self._arrivals = itertools.count()
        self._computing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, **options: Any) -> TransformersClassifier:
        """Loads the model in a thread; the options are those of `load`."""
        return await asyncio.to_thread(lambda: cls.load(**options))

    @classmethod
    def load(
        cls,
        *,
        model: str,
        tokenizer: str | None = None,
        dtype: DType = "float32",
        device: str = "auto",
        max_model_len: int | None = None,
        max_num_seqs: int = 64,
    ) -> TransformersClassifier:
        """Loads the model. The options are those of `TransformersEngine.load`; `model`
        is the folder of a sequence classification model.

        Raises:
            EngineUnavailableError: torch is not installed, the model cannot be loaded,
                or config.json names no heads.
        """
        labels = read_labels(model)
        device = resolve_device(device)
        folder = find_folder(model)
        assert folder is not None  # read_labels has found it
        own_tokenizer = HFTokenizer(tokenizer or model)
        try:
            loaded = load_heads(folder, dtype=dtype).to(device).eval().requires_grad_(False)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise EngineUnavailableError(f"transformers cannot load {model!r}: {error}") from error
        info = EngineInfo(
            kind="transformers",
            model=model,
            model_hash=hash_weights(folder),
            tokenizer_hash=own_tokenizer.hash,
            context_length=context_length_of(loaded, model, max_model_len, "heads.engine"),
            parameters=count_parameters(folder),
        )
        return cls(loaded, info, own_tokenizer, labels, max_num_seqs=max_num_seqs)

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended."""
        return self._gate.in_flight

    async def classify(self, prompt: Sequence[int], *, priority: int = 0) -> Classification:
        """Returns the outputs of the heads at the prompt's last token."""
        check_classify(prompt, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._classify(prompt, priority))

    async def reset_cache(self) -> bool:
        """Waits until nothing is in flight; there is no cache to empty."""
        async with self._gate.exclusive():
            return True

    async def close(self) -> None:
        """Stops the worker and frees the model."""
        await self._gate.close()
        if self._computing is not None:
            await asyncio.wait([self._computing])
        self._worker.shutdown(wait=False)
        self._model = None

    async def _classify(self, prompt: Sequence[int], priority: int) -> Classification:
        outputs: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._arrivals), prompt, outputs))
        if self._computing is None or self._computing.done():
            self._computing = asyncio.create_task(self._compute())
        return Classification(tuple(await outputs), Usage(len(prompt), 0, 0, 1))

    async def _compute(self) -> None:
        """Computes the waiting prompts batch by batch until none is left."""
        await asyncio.sleep(0)  # lets concurrent calls join the first batch
        while self._waiting:
            batch = [
                heapq.heappop(self._waiting)
                for _ in range(min(self._max_num_seqs, len(self._waiting)))
            ]
            batch = [one for one in batch if not one[-1].done()]  # done: was cancelled
            if not batch:
                continue
            try:
                found = await asyncio.get_running_loop().run_in_executor(
                    self._worker, self._forward, [prompt for _, _, prompt, _ in batch]
                )
            # out of memory, device lost, a broken model; without the shut gate, the
            # waiting calls would hang
            except Exception as error:
                self._waiting.clear()
                self._gate.shut(f"died: {error}")
                return
            for (*_, outputs), row in zip(batch, found, strict=True):
                if not outputs.done():
                    outputs.set_result(row)

    def _forward(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        import torch

        with torch.inference_mode():
            rows: list[list[float]] = head_outputs(self._model, prompts).tolist()
        return rows


def load_heads(folder: Path, *, dtype: str, **options: Any) -> Any:
    """Returns the sequence classification model of a folder, on the CPU. `options` are
    passed to `from_pretrained`.

    Raises:
        EngineUnavailableError: the heads are not a linear layer `score`, as decoders
            have it.
        OSError, ValueError, RuntimeError: transformers cannot load it.
    """
    from torch.nn import Linear
    from transformers import AutoModelForSequenceClassification

    with no_progress_bar():
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, **options)
    if not isinstance(getattr(model, "score", None), Linear):
        raise EngineUnavailableError(
            f"{folder} holds a {type(model).__name__}, whose heads are not a linear layer `score`; "
            "use a decoder"
        )
    return model


def head_outputs(model: Any, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Returns the raw outputs of the heads at the last token of every prompt, [B, K] in
    float32.

    Does not use the model's own forward, which looks for the last token that is not
    padding: it mistakes an end-of-sequence token for padding if the tokenizer uses one
    token for both. On a CPU, prompts of similar length share a batch, since padding
    costs as much as tokens.
    """
    import torch

    batch_size = _CPU_BATCH if model.device.type == "cpu" else len(prompts)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    chunks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    outputs = torch.cat(
        [_outputs_together(model, [prompts[number] for number in chunk]) for chunk in chunks]
    )
    return outputs[torch.tensor(order).argsort().to(outputs.device)]


def _outputs_together(model: Any, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    import torch

    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(prompt) for prompt in prompts], batch_first=True
    ).to(model.device)
    mask = torch.arange(ids.shape[1], device=model.device) < lengths[:, None]
    hidden = model.base_model(
        input_ids=ids, attention_mask=mask.long(), use_cache=False
    ).last_hidden_state
    outputs: torch.Tensor = model.score(
        hidden[torch.arange(len(prompts), device=model.device), lengths - 1]
    )
    return outputs.float()
