"""A garbage collector that is patient while questions are in flight.

Python looks for cycles every few hundred allocations, and now and then through
everything that is alive: a million objects of the imported libraries, none of which
will ever be garbage. A search makes hardly any cycles: its trees and prompts die with
their last reference.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 10, 10)
"""Allocations between two looks at the youngest objects; looks at a generation between
two at the next one."""


@contextmanager
def patient_collector() -> Iterator[None]:
    """For the body of the `with`: leaves alone what is alive already, and looks for new
    garbage rarely; then all is as it was.

    The collector is the whole process's. Inside another such body, and where somebody
    else has frozen objects or stopped it, nothing is changed.
    """
    thresholds = gc.get_threshold()
    if gc.get_freeze_count() or thresholds[0] == 0:
        yield
        return
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
