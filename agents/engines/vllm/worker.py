"""Extension of vLLM's worker in the child process: repacks output heads after a weight
reload, which vLLM 0.32 does not do.

On CPU a linear layer computes with a packed copy of its weight. `reload_weights`
repacks only the weights that it loads. An output head that is tied to the embedding is
not loaded itself, so its packed copy keeps the old weights, and the engine would serve
a mixture of two models.
"""

from __future__ import annotations

from typing import Any


class WorkerExtension:
    """vLLM adds it to the worker's class (`worker_extension_cls`); `collective_rpc`
    calls its methods.
    """

    model_runner: Any

    def repack_output_heads(self) -> None:
        """Repacks the weights of every output head; does nothing if heads are not
        packed (on a GPU).
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

        for module in self.model_runner.get_model().modules():
            if isinstance(module, ParallelLMHead) and hasattr(module, "cpu_linear"):
                module.quant_method.process_weights_after_loading(module)
