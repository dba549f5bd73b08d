"""What vLLM's child processes do first: leave the terminal's process group, and end
when their parent has ended.

Ctrl-C in a terminal interrupts every process of the foreground group. The thought
should stop and the engine should not, so the engine's child moves to a group of its
own. A parent that is killed cannot close its engine, and vLLM 0.32 does not notice: its
child would hold the model's memory, and the pipe of whoever waits for our output, for
ever. vLLM loads this function in each of its processes by the entry point
`vllm.general_plugins`; where our engine is not the parent it does nothing.
"""

from __future__ import annotations

import os
import threading
import time

PARENT = "LONGTHOUGHT_ENGINE_PARENT"
"""Environment variable that holds the id of the process whose engine is being
started."""
_POLL_S = 0.5


def install_parent_watchdog() -> None:
    """Does both in a child of our engine, once; may be called any number of times."""
    parent = os.getppid()
    if os.environ.get(PARENT) == str(parent) and os.getpgrp() != os.getpid():
        os.setpgrp()
        threading.Thread(
            target=_end_with, args=(parent,), name="longthought-parent", daemon=True
        ).start()


def _end_with(parent: int) -> None:
    """Waits until this process has another parent, and ends it without ceremony: nobody
    is left to talk to.
    """
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
