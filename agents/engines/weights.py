"""Reads model folders without loading a model: tensor shapes, number of weights, a hash
of the weights, and the recommended sampling parameters.

Uses only the standard library, so that a folder can be checked before a heavy library
is imported. Weights are safetensors files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.types import EngineUnavailableError, SamplingOptions

logger = logging.getLogger(__name__)

_WHOLE_FILE_BYTES = 64 << 20  # files up to this size are hashed whole
_SAMPLES = 256  # pages hashed of a larger file
_PAGE_BYTES = 64 << 10
_IN_BOUNDS: dict[str, tuple[type, Callable[[Any], bool]]] = {
    "temperature": (float, lambda value: 0 < value <= 10),
    "top_p": (float, lambda value: 0 < value <= 1),
    "top_k": (int, lambda value: value >= 0),
    "min_p": (float, lambda value: 0 <= value <= 1),
    "repetition_penalty": (float, lambda value: 0 < value <= 10),
}
"""Type and bounds of each sampling parameter in generation_config.json."""


def find_folder(model: str) -> Path | None:
    """Returns the local folder of a model: `model` itself, or the cached snapshot of a
    hub id; None if the hub id is not cached.

    Raises:
        EngineUnavailableError: `model` looks like a path that does not exist.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EngineUnavailableError(
            f"there is no model folder {model!r}; set engine.model to a folder with config.json, "
            "or to a hub id"
        )
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    config = try_to_load_from_cache(model, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def folder_of(model: str) -> Path:
    """Returns the local folder of a model; `Path(model)`, which need not exist, if
    there is none.
    """
    try:
        return find_folder(model) or Path(model)
    # ValueError: the name is not a valid hub id ("scripted/module:function")
    except (EngineUnavailableError, ValueError):
        return Path(model)


def read_config(folder: Path) -> dict[str, Any]:
    """Returns the model's config.json.

    Raises:
        EngineUnavailableError: the file is missing or not a JSON object.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise EngineUnavailableError(
            f"{folder} is not a model folder: its config.json cannot be read ({error})"
        ) from error
    if not isinstance(config, dict):
        raise EngineUnavailableError(f"{folder}/config.json must hold a JSON object")
    return config


def generation_config(folder: Path | None) -> dict[str, Any]:
    """Returns the folder's generation_config.json; {} if there is none.

    Raises:
        EngineUnavailableError: the file is not a JSON object.
    """
    if folder is None or not (path := folder / "generation_config.json").is_file():
        return {}
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EngineUnavailableError(
            f"{path} cannot be read ({error}); mend or delete it"
        ) from error
    if not isinstance(config, dict):
        raise EngineUnavailableError(f"{path} must hold a JSON object; mend or delete it")
    return config


def recommended_sampling(folder: Path | None) -> SamplingOptions:
    """Returns the sampling parameters in the folder's generation_config.json; unset
    where the file names none.

    A value out of bounds is left out with a warning. Of a model that decodes greedily
    by default (`do_sample: false`) only the repetition penalty is taken.
    """
    config = generation_config(folder)
    found: dict[str, Any] = {}
    for name, (kind, is_valid) in _IN_BOUNDS.items():
        value = config.get(name)
        if value is None or (config.get("do_sample") is False and name != "repetition_penalty"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_valid(value):
            logger.warning("%s/generation_config.json: ignored %s (%r)", folder, name, value)
            continue
        found[name] = kind(value)
    return SamplingOptions(**found)


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Returns name and shape of every tensor in the folder's safetensors files, from
    their headers.

    Raises:
        ValueError: the folder has no such file, or one is damaged.
    """
    files = weight_files(folder)
    if not files:
        raise ValueError(
            f"{folder} holds no *.safetensors file; save the model there with save_pretrained"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        header = _read_header(file)
        shapes |= {
            name: tuple(tensor["shape"])
            for name, tensor in header.items()
            if name != "__metadata__"
        }
    return shapes


def check_same_architecture(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses weights whose tensor names or shapes differ from `shapes`; an output head
    tied to the embedding may be missing.

    Raises:
        ValueError: some differ; the error names the first three.
    """
    found = tensor_shapes(folder)
    names = (found.keys() | shapes.keys()) - {"lm_head.weight"}
    if different := sorted(name for name in names if found.get(name) != shapes.get(name)):
        shown = ", ".join(
            f"{name} {found.get(name)} instead of {shapes.get(name)}" for name in different[:3]
        )
        raise ValueError(
            f"{folder} holds another architecture than the engine serves: {len(different)} tensors "
            f"differ ({shown})"
        )


def count_parameters(folder: Path) -> int:
    """Returns the number of weights in the folder; 0 if it has no safetensors file."""
    return (
        sum(math.prod(shape) for shape in tensor_shapes(folder).values())
        if weight_files(folder)
        else 0
    )


def weight_files(folder: Path) -> list[Path]:
    """Returns the folder's safetensors files except adapters, sorted by name."""
    return sorted(
        file for file in folder.glob("*.safetensors") if not file.name.startswith("adapter")
    )


def hash_weights(folder: Path) -> str:
    """Returns a hash of the folder's weights, 16 hex digits; of config.json if it has
    none.

    Files up to 64 MiB are hashed whole; for larger files, the hash covers name, size,
    header and 256 pages spread over the file. A training step changes nearly every
    page, so two checkpoints do not collide, and 100 GB take a second.
    """
    return hash_files(weight_files(folder) or [folder / "config.json"])


def hash_files(files: Iterable[Path]) -> str:
    """Returns a hash of `files`, 16 hex digits; see `hash_weights` for large files."""
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(_hash_file(file, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:16]


def hash_text(text: str) -> str:
    """Returns a hash of a text, 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, mtime_ns: int) -> bytes:
    """Returns the digest of one file; `mtime_ns` only serves as a cache key."""
    digest = hashlib.sha256(f"{file.name} {size}".encode())
    with file.open("rb") as stream:
        if size <= _WHOLE_FILE_BYTES:
            digest.update(stream.read())
        else:
            for page in range(_SAMPLES):  # the first page contains the header or its beginning
                stream.seek(page * (size - _PAGE_BYTES) // (_SAMPLES - 1))
                digest.update(stream.read(_PAGE_BYTES))
    return digest.digest()


def _read_header(file: Path) -> dict[str, Any]:
    """Returns the JSON header of a safetensors file: 8 bytes with its length, little
    endian, then the header.
    """
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        raw = stream.read(min(size, 1 << 28))
    try:
        header = json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{file} is not a readable safetensors file: its header is not an object")
    return header
