"""The child process of `ProcessPool`.

    python -m agents.answers.checkers.child MODULE:FUNCTION ALARM_S MEMORY_GIB

Reads argument lists from stdin, one JSON line each, and writes {"result": ...} or
{"error": ...}. The function's stdout is redirected to stderr, so that its prints cannot
be mistaken for a message.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys


def main(name: str, alarm_s: float, memory_gib: float) -> None:
    """Serves calls until stdin ends."""
    messages = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(message: dict[str, object]) -> None:
        messages.write(json.dumps(message) + "\n")
        messages.flush()

    _limit_memory(memory_gib)
    try:
        module, _, attribute = name.partition(":")
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        send({"error": f"{type(error).__name__}: {error}"})
        return
    send({"ready": True})
    for line in sys.stdin:
        # The parent kills a call at its time limit. If the parent has died, the
        # alarm's default action ends this process.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, alarm_s)
        try:
            send({"result": function(*json.loads(line))})
        except (Exception, RecursionError, MemoryError) as error:
            send({"error": f"{type(error).__name__}: {error}"[:500]})
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(memory_gib: float) -> None:
    # not supported by every system; the time limit applies anyway
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        size = int(memory_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
