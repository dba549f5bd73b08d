"""Loads model folders for training, and saves the result so that it is served exactly
like its base model.

A saved folder holds the weights (in the number format of the training), the config, and
byte-for-byte copies of the base folder's other files: tokenizer, chat template,
families.json, calibration.json. So the tokenizer's hash stays the same, and traces of
both models can be mixed.
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
        EngineUnavailableError: the weights are not on this machine.
    """
    folder = find_folder(model)
    if folder is None:
        raise EngineUnavailableError(
            f"the weights of {model!r} are not on this machine; set engine.model to a folder to "
            "train it"
        )
    return folder


def load_model(folder: Path, *, dtype: str) -> Any:
    """Returns the causal language model of a folder, on the CPU, in `dtype`."""
    import torch
    from transformers import AutoModelForCausalLM

    with no_progress_bar():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))


def load_tokenizer(folder: Path) -> Any:
    """Returns the tokenizer of a folder, with right padding and a padding token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def save_model(model: Any, base: Path, folder: Path) -> Path:
    """Writes `model` as a full folder, adapters merged, atomically; returns the folder.

    Adapters are merged into a copy: merging and unmerging in place makes bfloat16
    weights drift (huggingface/trl#6688).

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
    """Restores the token ids of the base's config: trainers overwrite the padding
    id.
    """
    original, written = (json.loads((path / "config.json").read_text()) for path in (base, folder))
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        written[name] = original.get(name)
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
