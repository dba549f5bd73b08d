"""Classifier with vLLM: a pooling engine in a separate process beside the generating
one.

Prompts with a common prefix share vLLM's prefix cache, as in generation: for siblings
and for the nodes of one path, only the last step is computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from agents.engines.base import Classification, EngineInfo, check_classify
from agents.engines.heads_folder import read_labels
from agents.engines.tokenizer import HFTokenizer
from agents.engines.vllm.options import VllmOptions
from agents.engines.vllm.process import FrontEnd, describe_model, start_vllm
from agents.types import Usage

_PLACE = "heads.engine"


class VLLMClassifier(FrontEnd):
    """Classifier over an AsyncLLM. Create it with `open`, in the event loop that will
    use it.
    """

    def __init__(
        self,
        llm: Any,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        labels: tuple[str, ...],
        opened: ExitStack,
    ) -> None:
        super().__init__(llm, f"vLLM with the heads of {info.model}", _PLACE)
        self.info = info
        self.tokenizer = tokenizer
        self.labels = labels
        self._opened = opened
        self._vocabulary_size: int = llm.model_config.get_vocab_size()

    @classmethod
    async def open(cls, options: VllmOptions) -> VLLMClassifier:
        """Starts vLLM with a sequence classification model.

        Raises:
            EngineUnavailableError: vLLM is not installed or cannot load the model, or
                config.json names no heads.
        """
        labels = await asyncio.to_thread(read_labels, options.model)
        llm, own_tokenizer, started = await start_vllm(
            options, lambda on_cpu: {"runner": "pooling", "convert": "classify"}, place=_PLACE
        )
        with started as opened:
            info = await asyncio.to_thread(describe_model, options.model, llm, own_tokenizer)
            return cls(llm, info, own_tokenizer, labels, opened.pop_all())

    async def classify(self, prompt: Sequence[int], *, priority: int = 0) -> Classification:
        """Returns the outputs of the heads at the prompt's last token."""
        check_classify(prompt, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._classify(prompt, priority))

    async def _classify(self, prompt: Sequence[int], priority: int) -> Classification:
        from vllm import PoolingParams
        from vllm.inputs import tokens_input

        params = PoolingParams(task="classify", use_activation=False)
        outputs = self._llm.encode(
            tokens_input(list(prompt)), params, f"heads-{next(self._names)}", priority=priority
        )
        [output] = [output async for output in self._translate_errors(outputs)]
        return Classification(
            tuple(output.outputs.data.tolist()), Usage(len(prompt), output.num_cached_tokens, 0, 1)
        )
