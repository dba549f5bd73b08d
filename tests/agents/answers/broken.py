"""Functions that misbehave, called in the pool's children by name."""

from __future__ import annotations

import os
import signal
import sys


def misbehave(what: str, *rest: str) -> str:
    """Hangs, dies, raises, prints or answers, as it is told."""
    match what:
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                pass
        case "die":
            os._exit(3)
        case "raise":
            raise RuntimeError("as told")
        case "print":
            print('{"result": "forged"}')
            sys.stdout.flush()
            os.write(1, b'{"result": "forged"}\n')
        case "pid":
            return str(os.getpid())
    return " ".join((what, *rest))


def hang(*_: str) -> bool:
    """Never returns: a check that hangs."""
    while True:
        pass
