"""Model folders: loaded for training, and saved so that the result is served exactly
like the model it came from.

Saved are weights (in the number format they were trained in), config, and everything
else of the base folder that is not weights: the tokenizer's own files byte for byte,
chat template, families.json, calibration.json. So the tokenizer's hash stays the same,
and traces of before and after can be mixed.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

from agents.engines.transformers.engine import no_progress_bar
from agents.engines.weights import find_folder
from agents.files import storing
from agents.types import EngineUnavailableError

_WEIGHTS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".gguf",
    ".safetensors.index.json",
    ".bin.index.json",
)


def base_folder(model: str) -> Path:
    """Returns the local folder of the model that an engine serves.

    Raises:
        EngineUnavailableError: there is none.
    """
    folder = find_folder(model)
    if folder is None:
        raise EngineUnavailableError(
            f"the weights of {model!r} are not on this machine; set engine.model to a folder to "
            "train it"
        )
    return folder


def load_model(folder: Path, *, dtype: str) -> Any:
    """Returns the causal language model of a folder, on the CPU, ready to be trained in
    `dtype`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with no_progress_bar():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))


def load_tokenizer(folder: Path) -> Any:
    """Returns the tokenizer of a folder, padded on the right and with a token to pad
    with.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def save_model(model: Any, base: Path, folder: Path) -> Path:
    """Writes `model` as a full folder, adapters merged, and returns the folder. It
    appears whole or not at all.

    Adapters are merged into a copy: merging into the model itself and taking them out
    again lets its weights drift in bfloat16 (huggingface/trl#6688).

    Raises:
        StorageError: the folder cannot be written.
    """
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    with storing(
        folder,
        is_folder=True,
        elsewhere="choose another folder with training.output or run.output_dir",
    ):
        try:
            unfinished.mkdir(parents=True)
            with no_progress_bar():
                model.save_pretrained(unfinished)
            _keep_special_ids(base, unfinished)
            for file in sorted(base.iterdir()):
                if (
                    file.is_file()
                    and not file.name.endswith(_WEIGHTS)
                    and file.name != "config.json"
                ):
                    shutil.copyfile(file, unfinished / file.name)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.replace(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _keep_special_ids(base: Path, folder: Path) -> None:
    """Puts the token ids of the base's config back: trainers overwrite the padding id
    with the one they pad with.
    """
    original, written = (json.loads((path / "config.json").read_text()) for path in (base, folder))
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        written[name] = original.get(name)
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
