"""Fixtures that several folders' tests share. What takes seconds to start is started
once a session, when a test first asks for it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.tiny_model import make_tiny_model

if TYPE_CHECKING:
    from agents.engines.transformers.engine import TransformersEngine
    from agents.engines.vllm.engine import VLLMEngine

# Laws are about values, not about the clock: a busy machine must not fail them. The
# same commit draws the same examples: 30 of a law, 100 with HYPOTHESIS_PROFILE=thorough
# (`make test-slow`); HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile(
    "thorough", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("longthought", settings.get_profile("thorough"), max_examples=30)
settings.register_profile("explore", settings.get_profile("thorough"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "longthought"))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with tokenizer and chat template (`tests.tiny_model`), in
    float32.
    """
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def other_tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture and tokenizer with other weights: something to publish."""
    return make_tiny_model(tmp_path_factory.mktemp("other"), seed=1)


@pytest_asyncio.fixture(scope="session")
async def transformers_engine(tiny_model_folder: Path) -> AsyncIterator[TransformersEngine]:
    """The tiny model in this process."""
    from agents.engines.transformers.engine import TransformersEngine

    engine = await TransformersEngine.open(model=str(tiny_model_folder))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="session")
async def vllm_engine(tiny_model_folder: Path) -> AsyncIterator[VLLMEngine]:
    """The tiny model in vLLM. Takes 15 s to start."""
    from agents.engines.vllm.engine import VLLMEngine
    from agents.engines.vllm.options import VllmOptions

    engine = await VLLMEngine.open(VllmOptions(model=str(tiny_model_folder), kv_cache_gib=0.25))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="session")
async def vllm_server(tiny_model_folder: Path) -> AsyncIterator[str]:
    """Base URL of a vLLM server on loopback with the tiny model. Takes 25 s to
    start.
    """
    from agents.engines.vllm.server import serve

    async with serve(str(tiny_model_folder), dtype="float32", kv_cache_gib=0.25) as base_url:
        yield base_url
