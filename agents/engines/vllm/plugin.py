"""A vLLM plugin for its child processes: they leave the terminal's process group, and
exit after their parent has exited.

Ctrl-C in a terminal interrupts every process of the foreground group. It should stop
the thought but not the engine, so the engine's child moves to its own group. A killed
parent cannot close its engine, and vLLM 0.32 does not notice: the child would keep the
model's memory and our output pipe open forever. vLLM loads this function in each of its
processes by the entry point `vllm.general_plugins`; it does nothing if our engine is
not the parent.
"""

from __future__ import annotations

import os
import threading
import time

PARENT = "LONGTHOUGHT_ENGINE_PARENT"
"""Environment variable that contains the id of the process that starts the engine."""
_POLL_S = 0.5


def install_parent_watchdog() -> None:
    """Moves a child of our engine to its own process group and starts the watchdog.
    Idempotent.
    """
    parent = os.getppid()
    if os.environ.get(PARENT) == str(parent) and os.getpgrp() != os.getpid():
        os.setpgrp()
        threading.Thread(
            target=_exit_after, args=(parent,), name="longthought-parent", daemon=True
        ).start()


def _exit_after(parent: int) -> None:
    """Waits until this process has another parent, and exits without clean-up."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
