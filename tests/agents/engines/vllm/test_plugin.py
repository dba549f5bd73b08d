"""A child that vLLM would start: it leaves the process group, and does not outlive a
killed parent.
"""

import os
import signal
import subprocess
import sys

from agents.engines.vllm.plugin import PARENT

_CHILD = """
import os, time
from agents.engines.vllm.plugin import install_parent_watchdog
group = os.getpgrp()
install_parent_watchdog()
print(os.getpid(), os.getpgrp() != group, flush=True)
time.sleep(600)
"""
_PARENT = f"""
import os, subprocess, sys, time
os.environ[{PARENT!r}] = sys.argv[1] if len(sys.argv) > 1 else str(os.getpid())
subprocess.Popen([sys.executable, "-c", {_CHILD!r}])
time.sleep(600)
"""


def _start(*arguments: str) -> tuple[subprocess.Popen[str], int, bool]:
    """Returns the parent, and its child's id and whether it left the group."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child, left = parent.stdout.readline().split()
    return parent, int(child), left == "True"


def test_child_of_our_engine_ends_when_its_parent_is_killed() -> None:
    parent, _, left = _start()
    assert left
    parent.kill()
    assert parent.stdout is not None
    assert parent.stdout.read() == ""  # returns when the child, too, has closed its end


def test_child_of_another_process_is_left_alone() -> None:
    parent, child, left = _start("1")
    assert not left
    parent.kill()
    parent.wait()
    os.kill(child, signal.SIGKILL)  # raises if it had ended
