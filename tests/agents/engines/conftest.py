"""Fixtures of the engine tests."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.agents.engines.conformance")

from tests.agents.engines.reference import Reference  # noqa: E402


@pytest.fixture(scope="session")
def reference(tiny_model_folder: Path) -> Reference:
    """The tiny model, computed naively."""
    return Reference(tiny_model_folder)


@pytest.fixture(scope="session")
def other_reference(other_tiny_model_folder: Path) -> Reference:
    """The other tiny model, computed naively."""
    return Reference(other_tiny_model_folder)
