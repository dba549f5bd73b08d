"""What we add to vLLM's worker, which lives in the child process: the half of a weight
reload that vLLM 0.32 leaves out.

On CPU a linear layer computes with a packed copy of its weight. `reload_weights` packs
again whatever it loads, and an output head that is tied to the embedding is never
loaded itself: its packed copy stays that of the old weights, and the engine serves a
mixture of two models.
"""

from __future__ import annotations

from typing import Any


class WorkerExtension:
    """Mixed into the worker's class by vLLM (`worker_extension_cls`); the methods are
    called through `collective_rpc`.
    """

    model_runner: Any

    def repack_output_heads(self) -> None:
        """Packs the weights of every output head again; does nothing where heads are
        not packed (on a GPU).
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

        for module in self.model_runner.get_model().modules():
            if isinstance(module, ParallelLMHead) and hasattr(module, "cpu_linear"):
                module.quant_method.process_weights_after_loading(module)
