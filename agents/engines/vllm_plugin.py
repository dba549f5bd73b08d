"""What vLLM's child processes do first: leave the terminal's process group.

Ctrl-C in a terminal interrupts every process of the foreground group. The thought should stop and the engine should not, so the engine's
child moves to a group of its own. vLLM loads this function in each of its processes by the entry point `vllm.general_plugins`; where our
engine is not the parent it does nothing.
"""

from __future__ import annotations

import os

PARENT = "LONGTHOUGHT_ENGINE_PARENT"
"""Environment variable that holds the id of the process whose engine is being started."""


def leave_process_group() -> None:
    """Moves a child of our engine out of the terminal's process group; may be called any number of times."""
    if os.environ.get(PARENT) == str(os.getppid()) and os.getpgrp() != os.getpid():
        os.setpgrp()
