"""Chooses the dtype on a CPU: bfloat16 without hardware instructions is emulated, eight
times slower than float32 on AVX2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.engines.weights import read_config

_NATIVE = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def cpu_has_bfloat16(capabilities: Mapping[str, Any] | None = None) -> bool:
    """Returns whether a CPU (None: this one) has instructions that multiply in
    bfloat16.
    """
    if capabilities is None:
        import torch

        capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in _NATIVE)


def own_dtype(config: Mapping[str, Any], on_cpu: bool) -> str:
    """Returns the dtype that `dtype: auto` selects for a model with this config.json:
    the dtype named there, except float32 instead of bfloat16 on a CPU without it.

    Returns "auto" if the config names no dtype.
    """
    named = config.get("dtype") or config.get("torch_dtype")
    if named == "bfloat16" and on_cpu and not cpu_has_bfloat16():
        return "float32"
    return named if isinstance(named, str) else "auto"


def local_dtype(folder: Path | None) -> str:
    """Returns the dtype that `dtype: auto` selects for the model in `folder` on this
    machine; "auto" if `folder` is None.
    """
    import torch

    return (
        "auto"
        if folder is None
        else own_dtype(read_config(folder), on_cpu=not torch.cuda.is_available())
    )
