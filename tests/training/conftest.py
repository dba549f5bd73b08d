"""Fixtures of the training tests: a tiny pocket, and the same one after it was taught a
few questions.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.types import Question
from graphs.tasks import load_task
from tests.training.tiny_pocket import make_tiny_pocket, teach

NUM_TAUGHT = 8


@pytest.fixture(scope="session")
def taught_questions() -> list[Question]:
    """Questions of the train split that the taught pocket has seen: the first that a
    training on legs takes.
    """
    return load_task(
        "pocket", split="train", size=NUM_TAUGHT, families=("legs",), levels=(1,)
    ).questions


@pytest.fixture(scope="session")
def tiny_pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with the pocket's tokenizer."""
    return make_tiny_pocket(tmp_path_factory.mktemp("tiny-pocket") / "model")


@pytest.fixture(scope="session")
def taught_pocket(
    tiny_pocket: Path, taught_questions: list[Question], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny pocket after a fine-tuning that makes it right on most of the taught
    questions, and unsure of all.
    """
    return teach(tiny_pocket, taught_questions, tmp_path_factory.mktemp("taught-pocket") / "model")
