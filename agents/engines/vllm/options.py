"""How vLLM is started: the options of the engine that generates and of the one that
reads heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DType = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """The meaning, unit and bounds of each option are those of the config group
    `engine=vllm` (`configs.schema.VllmEngineConfig`).

    Starting takes about 12 s on a CPU with eager execution, most of it imports.
    Compiling there takes 35 s and a C++ compiler, and makes 5M weights 1.1 (batches of
    64) to 1.6 (single requests) times as fast.
    """

    model: str
    """Folder or hub id of the weights."""
    tokenizer: str | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Folders of LoRA adapters, by the name under which requests ask for them. Heads
    are read without any."""
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
