"""Model folders on bad disks."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from agents.types import StorageError
from training.loops.model_folder import load_model, save_model


def test_a_full_disk_leaves_the_old_model_and_no_half_of_a_new_one(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    model, folder = load_model(tiny_model_folder, dtype="float32"), tmp_path / "model"
    save_model(model, tiny_model_folder, folder)
    before = {file.name: file.stat().st_size for file in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError) as caught:
            save_model(model, tiny_model_folder, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.path == folder and "training.output" in caught.value.remedy
    assert list(tmp_path.iterdir()) == [folder]
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == before


def test_a_file_in_a_models_place_is_a_storage_error(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    model = load_model(tiny_model_folder, dtype="float32")
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StorageError) as caught:
        save_model(model, tiny_model_folder, tmp_path / "models" / "new")
    assert caught.value.path == tmp_path / "models"
