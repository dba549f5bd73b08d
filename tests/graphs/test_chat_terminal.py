"""The chat in a real terminal: Ctrl-C stops a thought, not the chat."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.graphs.test_entry_points import SCRIPTED

ROOT = Path(__file__).parent.parent.parent


def read_until(terminal: int, wanted: str) -> str:
    """Returns what the terminal shows up to and including `wanted`; fails when it ends before."""
    shown = ""
    while wanted not in shown:
        try:
            part = os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            part = ""
        assert part, f"the chat ended before it showed {wanted!r}; it showed {shown[-2000:]!r}"
        shown += part
    return shown


def test_ctrl_c_stops_a_thought_and_not_the_chat() -> None:
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "graphs.chat", *SCRIPTED, "engine.latency_s=600"]  # the first request outlives the test
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=inside, stdout=inside, stderr=inside, env=os.environ | {"TERM": "xterm"}, start_new_session=True
    )
    os.close(inside)
    try:
        read_until(terminal, "> ")
        os.write(terminal, b"Count the legs: 4 human, 13 shrimp, 10 ant, 9 lobster.\n")
        read_until(terminal, "choosing where to go on")
        os.killpg(process.pid, signal.SIGINT)
        read_until(terminal, "(stopped thinking)")
        read_until(terminal, "> ")
        os.write(terminal, b"/help\n")
        read_until(terminal, "anything else is a question")
        os.write(terminal, b"/quit\n")
        assert process.wait() == 0
    finally:
        process.kill()
        os.close(terminal)
