"""LoRA adapters in PEFT's format, checked before a model is loaded. Source: LoRA
(arXiv:2106.09685).

Adapters belong to the weights that they were trained on, so an engine that serves some
takes no new weights.
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
    """16 hex digits over its weights."""


def read_adapters(folders: Mapping[str, str]) -> dict[str, AdapterFiles]:
    """Reads what there is to know of adapters before they are loaded, from their
    folders by name.

    Raises:
        EngineUnavailableError: a folder holds no adapter.
    """
    return {
        name: AdapterFiles(folder, _read_rank(name, folder), _hash(name, folder))
        for name, folder in folders.items()
    }


def refuse_publication(adapters: Iterable[str]) -> None:
    """Refuses new weights under adapters.

    Raises:
        ValueError: there is one.
    """
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
            f"engine.adapters: {folder} is no LoRA adapter for {name!r}: {path.name} cannot be "
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
