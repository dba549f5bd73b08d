"""The server's start: what is refused before vLLM is loaded."""

from __future__ import annotations

import socket

import pytest

from agents.engines.vllm.server import serve
from agents.types import EngineUnavailableError


async def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(EngineUnavailableError, match=str(port)):
            async with serve("agents/pocket", port=port, ready_timeout_s=5.0):
                pass
