"""Fixtures of the engine tests."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.agents.engines.conformance")

from tests.agents.engines.conformance import HEAD_LABELS  # noqa: E402
from tests.agents.engines.reference import Reference  # noqa: E402
from tests.tiny_model import make_tiny_adapter, make_tiny_heads  # noqa: E402


@pytest.fixture(scope="session")
def reference(tiny_model_folder: Path) -> Reference:
    """The tiny model, computed naively."""
    return Reference(tiny_model_folder)


@pytest.fixture(scope="session")
def other_reference(other_tiny_model_folder: Path) -> Reference:
    """The other tiny model, computed naively."""
    return Reference(other_tiny_model_folder)


@pytest.fixture(scope="session")
def tiny_heads_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with random heads."""
    return make_tiny_heads(
        tmp_path_factory.mktemp("heads") / "model", tiny_model_folder, HEAD_LABELS
    )


@pytest.fixture(scope="session")
def adapter_folders(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Two LoRA adapters of the tiny model, of different ranks."""
    ranks = {"first": 4, "second": 12}
    return {
        name: str(
            make_tiny_adapter(
                tmp_path_factory.mktemp("adapter") / name, tiny_model_folder, seed=rank, rank=rank
            )
        )
        for name, rank in ranks.items()
    }


@pytest.fixture(scope="session")
def adapter_references(
    tiny_model_folder: Path, adapter_folders: dict[str, str], reference: Reference
) -> dict[str | None, Reference]:
    """The tiny model with each of its adapters, computed naively; None: without one."""
    return {None: reference} | {
        name: Reference(tiny_model_folder, Path(folder)) for name, folder in adapter_folders.items()
    }
