"""Options with which vLLM is started, for the generating engine and the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DType = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """Options of vLLM; the config group `engine=vllm` documents their meaning, units
    and bounds (`configs.schema.VllmEngineConfig`).

    vLLM starts in about 12 s on a CPU with eager execution; most of it is imports.
    Compiling takes a further 35 s there, needs a C++ compiler, and speeds up a model of
    5M weights by a factor of 1.1 (batches of 64) to 1.6 (single requests).
    """

    model: str
    """Folder or hub id of the weights."""
    tokenizer: str | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Folders of LoRA adapters by name; requests refer to these names. The classifier
    ignores them."""
    dtype: DType = "auto"
    max_model_len: int | None = None
    max_num_seqs: int = 64
    kv_cache_gib: float | None = None
    gpu_memory_utilization: float = 0.85
    tensor_parallel_size: int = 1
    block_size: int = 32
    enforce_eager: bool | None = None
    cpu_threads: int | None = None
    seed: int = 0
    log_level: LogLevel = "ERROR"
