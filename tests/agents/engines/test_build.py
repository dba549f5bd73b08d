"""Opening engines by kind, the gate in front of them, and what importing them loads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents.engines import loop
from agents.engines.base import Generator
from agents.engines.build import open_engine, start_engines
from agents.engines.gate import Gate
from agents.engines.scripted.engine import ScriptedEngine
from agents.engines.weights import (
    check_same_architecture,
    count_parameters,
    find_folder,
    hash_weights,
    tensor_shapes,
)
from agents.types import EngineDiedError, EngineUnavailableError
from tests.tiny_model import make_tiny_model

SCRIPT: dict[str, Any] = {"script": [{"reply": "yes"}]}


async def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'vlm'.*vllm, openai, transformers, scripted"):
        await open_engine("vlm", {})


async def test_roles_with_equal_engine_options_share_one_engine() -> None:
    wanted = {
        "policy": ("scripted", SCRIPT),
        "critic": ("scripted", dict(SCRIPT)),
        "judge": ("scripted", SCRIPT | {"context_length": 9}),
    }
    engines, opened = await start_engines(wanted)
    async with opened:
        assert engines["policy"] is engines["critic"]
        assert engines["policy"] is not engines["judge"]
    for engine in engines.values():
        assert isinstance(engine, Generator)
        with pytest.raises(EngineDiedError, match="was closed"):
            await engine.score((1,), (2,))


async def test_engines_are_closed_when_a_later_one_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[ScriptedEngine] = []

    async def close(engine: ScriptedEngine) -> None:
        closed.append(engine)

    monkeypatch.setattr(ScriptedEngine, "close", close)
    with pytest.raises(EngineUnavailableError, match="/nowhere"):
        await start_engines(
            {"policy": ("scripted", SCRIPT), "critic": ("transformers", {"model": "/nowhere"})}
        )
    assert len(closed) == 1


def test_importing_the_engines_loads_no_heavy_library() -> None:
    code = (
        "import sys, agents.engines, agents.engines.build, agents.engines.scripted.engine, "
        "agents.engines.loop\n"
    )
    code += (
        "print([name for name in ('torch', 'vllm', 'transformers', 'aiohttp', 'numpy') if name in "
        "sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_modules_of_real_engines_import_without_their_libraries() -> None:
    code = (
        "import sys, agents.engines.vllm.engine, agents.engines.transformers.engine, "
        "agents.engines.tokenizer\n"
    )
    code += "print([name for name in ('torch', 'vllm', 'transformers') if name in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_the_loop_runs_coroutines_and_refuses_its_own_thread() -> None:
    async def nested() -> None:
        loop.run(asyncio.sleep(0))

    assert loop.run(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(RuntimeError, match="would wait for itself"):
        loop.run(nested())


INTERRUPTED = """
import asyncio, os, signal, threading
from agents.engines import loop

async def work():
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        await asyncio.sleep(60)
    finally:
        if CLEANS_UP_FOR_EVER:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(60 if CLEANS_UP_FOR_EVER else 0.2)
        print("cleaned up", flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    loop.run(work())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("for_ever", "said"), [(False, ["cleaned up", "interrupted"]), (True, ["interrupted"])]
)
def test_ctrl_c_waits_for_the_clean_up_and_a_second_one_does_not(
    for_ever: bool, said: list[str]
) -> None:
    code = f"CLEANS_UP_FOR_EVER = {for_ever}\n" + INTERRUPTED
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split("\n")[:-1] == said


async def test_gate_admits_in_order_of_arrival() -> None:
    gate, order = Gate("a test", limit=1), []

    async def enter(i: int) -> None:
        order.append(i)
        await asyncio.sleep(0)

    await asyncio.gather(*(gate.run(lambda i=i: enter(i)) for i in range(5)))  # type: ignore[misc]
    assert order == [0, 1, 2, 3, 4]
    assert gate.in_flight == 0


async def test_the_gate_admits_by_priority_and_a_cancelled_waiter_takes_no_slot() -> None:
    gate, order, opened = Gate("a test", limit=2), list[int](), asyncio.Event()

    async def enter(priority: int) -> None:
        order.append(priority)
        await opened.wait()

    tasks = [
        asyncio.create_task(gate.run(partial(enter, p), priority=p)) for p in (9, 8, 7, 2, 5, 1, 3)
    ]
    while not order:
        await asyncio.sleep(0)
    tasks[3].cancel()
    opened.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [9, 8, 1, 3, 5, 7], "two of them found a slot"
    assert tasks[3].cancelled() and gate.in_flight == 0
    await asyncio.gather(*(gate.run(lambda: enter(0)) for _ in range(3)))
    assert order[-3:] == [0, 0, 0], "all slots are free again"


async def test_the_gate_passes_on_the_slot_of_a_waiter_cancelled_at_its_turn() -> None:
    gate, order, opened = Gate("a test", limit=1), list[int](), asyncio.Event()

    async def enter(number: int) -> None:
        order.append(number)
        await opened.wait()

    async def leave() -> None:
        await opened.wait()  # is woken after request 0, which hands its slot to request 1
        tasks[1].cancel()

    tasks = [asyncio.create_task(gate.run(lambda i=i: enter(i))) for i in range(3)]  # type: ignore[misc]
    while not order:
        await asyncio.sleep(0)
    leaving = asyncio.create_task(leave())
    await asyncio.sleep(0)
    opened.set()
    await asyncio.gather(leaving, *tasks, return_exceptions=True)
    assert order == [0, 2] and tasks[1].cancelled()


async def test_gate_shut_while_publishing_fails_those_who_wait() -> None:
    gate = Gate("a test")
    async with gate.exclusive():
        waiting = asyncio.create_task(gate.run(lambda: asyncio.sleep(0)))
        await asyncio.sleep(0)
        gate.shut("was closed")
        with pytest.raises(EngineDiedError, match="a test was closed"):
            await waiting


def test_weights_are_named_by_their_content(
    tiny_model_folder: Path, other_tiny_model_folder: Path, tmp_path: Path
) -> None:
    copy = make_tiny_model(tmp_path)
    assert (
        hash_weights(tiny_model_folder)
        == hash_weights(copy)
        != hash_weights(other_tiny_model_folder)
    )
    check_same_architecture(other_tiny_model_folder, tensor_shapes(tiny_model_folder))
    assert count_parameters(tiny_model_folder) == 98_880


def test_a_changed_file_has_another_hash(tmp_path: Path) -> None:
    make_tiny_model(tmp_path)
    before = hash_weights(tmp_path)
    make_tiny_model(tmp_path, seed=3)
    assert hash_weights(tmp_path) != before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0no!!!")
    with pytest.raises(ValueError, match=r"model\.safetensors is not a readable"):
        tensor_shapes(tmp_path)


def test_a_path_that_does_not_exist_is_no_hub_id() -> None:
    with pytest.raises(EngineUnavailableError, match=r"no model folder './nothing'"):
        find_folder("./nothing")
    assert find_folder("nobody/no-such-model") is None
