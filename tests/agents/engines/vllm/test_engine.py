"""The vLLM engine. One engine for the session; the test of its death starts another."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from agents.engines import EngineInfo, GenerateRequest
from agents.engines.tokenizer import HFTokenizer
from agents.engines.vllm.engine import VLLMEngine
from agents.engines.vllm.options import VllmOptions
from agents.engines.vllm.process import default_threads
from agents.types import EngineDiedError, EngineUnavailableError
from tests.agents.engines.conformance import (
    LOGPROB_TOLERANCE,
    AdapterConformance,
    GeneratorConformance,
    PublisherConformance,
    RealModelConformance,
    RealPublisherConformance,
    Subject,
)


class TestVLLMEngine(
    GeneratorConformance, RealModelConformance, PublisherConformance, RealPublisherConformance
):
    @pytest.fixture
    def subject(
        self, vllm_engine: VLLMEngine, tiny_model_folder: Path, other_tiny_model_folder: Path
    ) -> Subject:
        return Subject(vllm_engine, tiny_model_folder, other_tiny_model_folder)

    async def test_every_sample_says_what_it_found(self, subject: Subject) -> None:
        prompt = subject.prompt("a prompt of its own: " + "x" * 100)
        full_blocks = (len(prompt) - 1) // 32 * 32
        for expected in (3 * full_blocks, 4 * full_blocks):  # the first one of all computes them
            generation = await subject.engine.generate(GenerateRequest(prompt, n=4, max_tokens=4))
            assert generation.usage.cached_prompt_tokens == expected

    async def test_a_stop_string_of_one_token_ends_what_reading_along_ends(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine, stop = subject.engine, "x"
        request = GenerateRequest(subject.prompt(), n=16, max_tokens=300, seed=1, stop=(stop,))
        read_along = await engine.generate(request)
        assert not engine._tokens_of(stop) and any(
            completion.stop_reason == stop for completion in read_along.completions
        )
        # its only token
        monkeypatch.setattr(engine, "_stops", {stop: frozenset(engine.tokenizer.encode(stop))})
        stopped = await engine.generate(request)
        for completion, expected in zip(stopped.completions, read_along.completions, strict=True):
            assert replace(completion, logprobs=expected.logprobs) == expected
            assert completion.logprobs == pytest.approx(expected.logprobs, abs=LOGPROB_TOLERANCE)

    async def test_cancelled_requests_leave_vllm(self, subject: Subject) -> None:
        task = asyncio.create_task(
            subject.engine.generate(GenerateRequest(subject.prompt(), n=4, max_tokens=400))
        )
        processor = subject.engine._llm.output_processor
        while processor.get_num_unfinished_requests() < 4:
            assert not task.done()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert processor.get_num_unfinished_requests() == 0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine_with_adapters(
    tiny_model_folder: Path, adapter_folders: dict[str, str]
) -> AsyncIterator[VLLMEngine]:
    """The tiny model with two adapters."""
    engine = await VLLMEngine.open(
        VllmOptions(model=str(tiny_model_folder), adapters=adapter_folders, kv_cache_gib=0.25)
    )
    yield engine
    await engine.close()


class TestAdapters(AdapterConformance):
    pass


async def test_a_folder_without_an_adapter_is_refused(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailableError, match="is not a LoRA adapter for 'first'"):
        await VLLMEngine.open(
            VllmOptions(model=str(tiny_model_folder), adapters={"first": str(tmp_path)})
        )


async def test_a_killed_core_is_a_dead_engine(tiny_model_folder: Path) -> None:
    engine = await VLLMEngine.open(VllmOptions(model=str(tiny_model_folder), kv_cache_gib=0.25))
    tasks = [
        asyncio.create_task(engine.generate(GenerateRequest((5, 6, 7), n=16, max_tokens=500)))
        for _ in range(3)
    ]
    processor = engine._llm.output_processor
    while processor.get_num_unfinished_requests() < 48:
        assert not any(task.done() for task in tasks)
        await asyncio.sleep(0)
    for process_id in engine.core_process_ids:
        os.kill(process_id, signal.SIGKILL)
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert all(
        isinstance(result, EngineDiedError) and result.in_flight == 3 for result in results
    ), results
    with pytest.raises(EngineDiedError, match="open a new engine"):
        await engine.score((5, 6, 7), (8,))
    await engine.close()
    await engine.close()


class _DyingCore:
    """The front end of a vLLM whose child dies at one call; from then on every call
    fails.
    """

    def __init__(self, dies_at: str) -> None:
        self.dies_at = dies_at
        self.is_dead = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[bool]]:
        async def call(*args: object, **options: object) -> bool:
            self.is_dead = self.is_dead or name == self.dies_at
            if self.is_dead:
                raise RuntimeError("EngineCore encountered an issue")
            return True

        return call


@pytest.mark.parametrize(
    "dies_at", ["pause_generation", "collective_rpc", "reset_prefix_cache", "resume_generation"]
)
async def test_an_engine_that_dies_while_it_takes_weights_says_so(
    dies_at: str, tiny_model_folder: Path
) -> None:
    info = EngineInfo("vllm", "tiny", "0" * 16, "0" * 16, context_length=64)
    tokenizer = HFTokenizer(str(tiny_model_folder))
    engine = VLLMEngine(
        _DyingCore(dies_at), info, tokenizer, vocabulary_size=64, eos=frozenset(), folder=None
    )
    with pytest.raises(EngineDiedError, match=f"while it loaded {tiny_model_folder}"):
        await engine.publish(tiny_model_folder)
    with pytest.raises(EngineDiedError, match="open a new engine"):
        await engine.score((5, 6, 7), (8,))


async def test_a_model_that_cannot_be_served_is_named_before_vllm_starts(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match=str(tmp_path)):
        await VLLMEngine.open(VllmOptions(model=str(tmp_path)))


async def test_a_start_that_is_cancelled_leaves_no_child(tiny_model_folder: Path) -> None:
    """Ctrl-C while the engine is being started."""
    others = set(multiprocessing.active_children())
    opening = asyncio.create_task(
        VLLMEngine.open(VllmOptions(model=str(tiny_model_folder), kv_cache_gib=0.25))
    )
    while not (born := set(multiprocessing.active_children()) - others):
        await asyncio.wait([opening], timeout=0.05)
        assert not opening.done()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for child in born:
        child.join(timeout=60)
        assert child.exitcode is not None


def test_a_script_without_the_guard_is_told_in_one_line(tiny_model_folder: Path) -> None:
    script = (
        "import asyncio, multiprocessing; from agents.engines.vllm.engine import VLLMEngine\n"
        "from agents.engines.vllm.options import VllmOptions\n"
        "multiprocessing.current_process()._inheriting = True  # as while a spawned child imports "
        "its parent's script\n"
        f"asyncio.run(VLLMEngine.open(VllmOptions(model={str(tiny_model_folder)!r})))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (
        ended.returncode == 1
        and len(ended.stderr.splitlines()) == 1
        and '`if __name__ == "__main__":`' in ended.stderr
    )


async def test_ctrl_c_does_not_reach_the_child(vllm_engine: VLLMEngine) -> None:
    """A terminal interrupts its foreground process group; the model's process is in a
    group of its own.
    """
    assert vllm_engine.core_process_ids
    assert all(os.getpgid(pid) == pid != os.getpgrp() for pid in vllm_engine.core_process_ids)


@pytest.mark.parametrize(
    ("weights", "cores", "said", "threads"),
    [
        (3_300_000, 16, None, 1),
        (25_000_000, 16, None, 3),
        (135_000_000, 2, None, 2),
        (None, 16, None, 16),  # the size of a remote model is unknown
        (3_300_000, 16, "4", 4),
        (3_300_000, 16, "", 1),
    ],
)
def test_a_small_model_gets_few_threads(
    weights: int | None, cores: int, said: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    monkeypatch.setattr("agents.engines.vllm.process.count_parameters", lambda _: weights)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert default_threads(None if weights is None else Path("a model")) == threads


def test_a_damaged_file_says_nothing_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine reports what is wrong with the value."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    assert default_threads(tmp_path) == 3
