"""LoRA adapters in PEFT's format, checked before a model is loaded. Source: LoRA
(arXiv:2106.09685).

An adapter fits only the weights that it was trained on, so an engine that serves
adapters refuses new weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from agents.engines.weights import hash_files
from agents.types import EngineUnavailableError


class AdapterFiles(NamedTuple):
    """One adapter on the disk."""

    folder: str
    rank: int
    hash: str
    """Hash of its weights, 16 hex digits."""


def read_adapters(folders: Mapping[str, str]) -> dict[str, AdapterFiles]:
    """Returns rank and hash of each adapter by name, read from `folders` without
    loading the adapters.

    Raises:
        EngineUnavailableError: a folder holds no adapter.
    """
    return {
        name: AdapterFiles(folder, _read_rank(name, folder), _hash(name, folder))
        for name, folder in folders.items()
    }


def refuse_publication(adapters: Iterable[str]) -> None:
    """Raises ValueError if `adapters` is not empty: new weights would not fit them."""
    if names := ", ".join(adapters):
        raise ValueError(
            f"the adapters {names} belong to the weights that the engine has loaded; publish to an "
            "engine that was opened without engine.adapters"
        )


def _read_rank(name: str, folder: str) -> int:
    path = Path(folder) / "adapter_config.json"
    try:
        return int(json.loads(path.read_text())["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailableError(
            f"engine.adapters: {folder} is not a LoRA adapter for {name!r}: {path.name} cannot be "
            f"read ({error}); name a folder that PEFT's save_pretrained wrote"
        ) from error


def _hash(name: str, folder: str) -> str:
    files = sorted(Path(folder).glob("adapter_model*.safetensors"))
    if not files:
        raise EngineUnavailableError(
            f"engine.adapters: {folder} holds no adapter_model.safetensors for {name!r}; save the "
            "adapter with save_pretrained"
        )
    return hash_files(files)
