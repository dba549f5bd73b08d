"""The transformers engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agents.engines import GenerateRequest
from agents.engines.transformers.engine import TransformersEngine
from agents.types import EngineDiedError, EngineUnavailableError
from tests.agents.engines.conformance import (
    AdapterConformance,
    GeneratorConformance,
    PublisherConformance,
    RealModelConformance,
    RealPublisherConformance,
    Subject,
)
from tests.tiny_model import make_tiny_model


class TestTransformersEngine(
    GeneratorConformance, RealModelConformance, PublisherConformance, RealPublisherConformance
):
    @pytest.fixture
    def subject(
        self,
        transformers_engine: TransformersEngine,
        tiny_model_folder: Path,
        other_tiny_model_folder: Path,
    ) -> Subject:
        return Subject(transformers_engine, tiny_model_folder, other_tiny_model_folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine_with_adapters(
    tiny_model_folder: Path, adapter_folders: dict[str, str]
) -> AsyncIterator[TransformersEngine]:
    """The tiny model with two adapters."""
    engine = await TransformersEngine.open(model=str(tiny_model_folder), adapters=adapter_folders)
    yield engine
    await engine.close()


class TestAdapters(AdapterConformance):
    pass


async def test_a_folder_without_an_adapter_is_refused(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailableError, match="is not a LoRA adapter for 'first'"):
        await TransformersEngine.open(
            model=str(tiny_model_folder), adapters={"first": str(tmp_path)}
        )


async def test_samples_do_not_depend_on_their_number(
    transformers_engine: TransformersEngine,
) -> None:
    many, few = [
        await transformers_engine.generate(GenerateRequest((5, 6, 7), n=n, max_tokens=8, seed=1))
        for n in (70, 3)
    ]
    assert [found.token_ids for found in many.completions[:3]] == [
        found.token_ids for found in few.completions
    ]


async def test_requests_without_a_seed_differ(transformers_engine: TransformersEngine) -> None:
    first, second = [
        await transformers_engine.generate(GenerateRequest((5, 6, 7), max_tokens=8))
        for _ in range(2)
    ]
    assert first.completions[0].token_ids != second.completions[0].token_ids


async def test_a_model_that_fails_is_a_dead_engine(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await TransformersEngine.open(model=str(tiny_model_folder))

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "_forward", fail)
    results = await asyncio.gather(
        *(engine.generate(GenerateRequest((5, 6, 7))) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(result, EngineDiedError) and result.in_flight == 3 for result in results)
    with pytest.raises(EngineDiedError, match="out of memory"):
        await engine.score((5, 6, 7), (8,))
    await engine.close()


async def test_closing_fails_what_is_in_flight(tiny_model_folder: Path) -> None:
    engine = await TransformersEngine.open(model=str(tiny_model_folder))
    tasks = [
        asyncio.create_task(
            engine.generate(GenerateRequest((5, 6, 7), n=8, max_tokens=500, seed=0))
        )
        for _ in range(2)
    ]
    while engine.in_flight < 2:
        await asyncio.sleep(0)
    await engine.close()
    await engine.close()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, EngineDiedError)
        assert "closed" in str(result)


async def test_cancelled_work_is_awaited_if_it_has_begun_else_never_begins(
    transformers_engine: TransformersEngine,
) -> None:
    begun, ended, queued_began = threading.Event(), threading.Event(), threading.Event()

    def compute(stop: threading.Event) -> None:
        begun.set()
        stop.wait()
        time.sleep(0.1)
        ended.set()

    running = asyncio.create_task(transformers_engine._in_worker(compute))
    queued = asyncio.create_task(transformers_engine._in_worker(lambda stop: queued_began.set()))
    await asyncio.to_thread(begun.wait)
    for task in (queued, running):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended.is_set() and not queued_began.is_set()


async def test_a_folder_without_a_chat_template_says_what_to_add(tmp_path: Path) -> None:
    engine = await TransformersEngine.open(
        model=str(make_tiny_model(tmp_path, chat_template=False))
    )
    with pytest.raises(
        EngineUnavailableError, match=f"{tmp_path}.*no chat template; add chat_template.jinja"
    ):
        engine.tokenizer.apply_chat_template([{"role": "user", "content": "hi"}])
    await engine.close()


async def test_a_missing_folder_and_one_without_a_model_are_named(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(EngineUnavailableError, match=str(folder)):
            await TransformersEngine.open(model=str(folder))


async def test_a_context_longer_than_the_model_is_refused(tiny_model_folder: Path) -> None:
    with pytest.raises(EngineUnavailableError, match=r"max_model_len \(513\)"):
        await TransformersEngine.open(model=str(tiny_model_folder), max_model_len=513)
