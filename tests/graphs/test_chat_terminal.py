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


class Screen:
    """The output of a terminal that no `wait` has consumed yet."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.shown = ""

    def wait_for(self, wanted: str) -> None:
        """Reads up to and including `wanted`; fails when the terminal ends before."""
        while wanted not in self.shown:
            try:
                part = os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:
                part = ""
            assert part, (
                f"the chat ended before it showed {wanted!r}; it showed {self.shown[-2000:]!r}"
            )
            self.shown += part
        self.shown = self.shown.partition(wanted)[2]


def listen_to_ctrl_c() -> None:
    """Undoes what a shell does to the jobs that it starts in the background: they
    ignore SIGINT, and so do their children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_stops_a_thought_and_not_the_chat() -> None:
    terminal, inside = pty.openpty()
    # the first request outlives the test
    command = [sys.executable, "-m", "graphs.chat", *SCRIPTED, "engine.latency_s=600"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=os.environ | {"TERM": "xterm"},
        start_new_session=True,
        preexec_fn=listen_to_ctrl_c,
    )
    os.close(inside)
    screen = Screen(terminal)
    try:
        screen.wait_for("> ")
        os.write(terminal, b"Count the legs: 4 human, 13 shrimp, 10 ant, 9 lobster.\n")
        screen.wait_for("thinking")
        os.killpg(process.pid, signal.SIGINT)
        screen.wait_for("(stopped thinking)")
        screen.wait_for("> ")
        os.write(terminal, b"/help\n")
        screen.wait_for("anything else is a question")
        os.write(terminal, b"/quit\n")
        assert process.wait() == 0
    finally:
        process.kill()
        os.close(terminal)
