"""Starts vLLM's OpenAI server with the options that engine=openai needs, and stops it
with all its child processes.

    python -m agents.engines.server MODEL [--port 8000]    # prints the address

It runs the module vllm.entrypoints.openai.api_server, because the `vllm` command
crashes in the CPU wheel. The server listens on 127.0.0.1 and has vLLM's development
routes, through which any client can load other weights: do not expose it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import aiohttp

from agents.engines.precision import local_dtype
from agents.engines.vllm.process import default_threads
from agents.engines.weights import find_folder
from agents.types import EngineUnavailableError

_POLL_S = 0.2
_LOG_TAIL_CHARACTERS = 4000


@asynccontextmanager
async def serve(
    model: str,
    *,
    port: int | None = None,
    dtype: str = "auto",
    kv_cache_gib: float = 1.0,
    enforce_eager: bool = True,
    arguments: Sequence[str] = (),
    ready_timeout_s: float = 300.0,
) -> AsyncIterator[str]:
    """Runs a server for the body of the `async with` and yields its base URL, which
    ends in /v1.

    Args:
        model: folder or hub id.
        port: port of the server; None: a free port. dtype: data type of weights and
            activations; auto: that of config.json, except float32 instead of bfloat16
            on a CPU without it.
        kv_cache_gib: memory for the KV cache, in GiB.
        enforce_eager: whether to run without compilation.
        arguments: further command-line arguments of vLLM's server.
        ready_timeout_s: maximum wait until the server is ready, in seconds.

    Raises:
        EngineUnavailableError: another process listens on the port; or the server ended
            or was not ready in time, and the text ends with the tail of its log.
    """
    if port is not None and not await asyncio.to_thread(_is_free, port):
        # vLLM would share the port (SO_REUSEPORT), and either server would get requests
        raise EngineUnavailableError(
            f"port {port} of 127.0.0.1 is in use by another process; stop it, or choose another "
            "--port"
        )
    port, folder = port or _free_port(), find_folder(model)
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--dtype", local_dtype(folder) if dtype == "auto" else dtype]
    command += ["--kv-cache-memory-bytes", str(int(kv_cache_gib * (1 << 30))), "--block-size", "32"]
    command += [
        "--logprobs-mode",
        "processed_logprobs",
        "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log",
    ]
    # chunked prefill crashes vLLM 0.32 on CPU (see agents.engines.vllm.process)
    command += ["--no-enable-chunked-prefill"]
    # needed to publish tied output heads
    command += ["--worker-extension-cls", "agents.engines.vllm.worker.WorkerExtension"]
    command += ["--enforce-eager"] if enforce_eager else []
    environment = {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": str(default_threads(folder)),
        **os.environ,
        "VLLM_SERVER_DEV_MODE": "1",
    }
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            await _wait_until_ready(
                process, f"http://127.0.0.1:{port}/health", ready_timeout_s, log
            )
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            await _stop(process)


async def _wait_until_ready(
    process: asyncio.subprocess.Process, health_url: str, timeout_s: float, log: IO[bytes]
) -> None:
    deadline = asyncio.get_running_loop().time() + timeout_s
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while process.returncode is None and asyncio.get_running_loop().time() < deadline:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(health_url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(_POLL_S)
    what = (
        f"was not ready after {timeout_s:g} s"
        if process.returncode is None
        else f"ended with code {process.returncode}"
    )
    log.seek(0)
    tail = log.read().decode(errors="replace")[-_LOG_TAIL_CHARACTERS:]
    raise EngineUnavailableError(f"the vLLM server {what}; its log ends:\n{tail}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends the whole process group with SIGTERM, and after 5 s with SIGKILL."""
    for how, wait_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), wait_s)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1.0)
        return caller.connect_ex(("127.0.0.1", port)) != 0


async def _main(model: str, port: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    folder = Path(model)
    print(
        f"starting vLLM's server for {model} (about half a minute on a CPU) ...",
        file=sys.stderr,
        flush=True,
    )
    with suppress(asyncio.CancelledError):
        async with serve(
            str(folder.absolute()) if folder.is_dir() else model, port=port
        ) as base_url:
            print(f"{model} is served at {base_url}; Ctrl-C stops it", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m agents.engines.server",
        description="Serve a model with vLLM on this machine, for engine=openai.",
    )
    parser.add_argument("model", help="folder or hub id")
    parser.add_argument("--port", type=int, default=8000, help="port of the server (default 8000)")
    options = parser.parse_args()
    try:
        asyncio.run(_main(options.model, options.port))
    except EngineUnavailableError as error:
        sys.exit(f"error: {error}")
