"""Garbage collection at long intervals while questions are in flight.

Python looks for cycles every few hundred allocations, and sometimes traverses all
objects: a million of the imported libraries, none of which becomes garbage. A search
makes few cycles: reference counting frees its trees and prompts.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 10, 10)
"""Arguments of `gc.set_threshold`: allocations before a collection of generation 0,
then collections of a generation before one of the next."""


@contextmanager
def patient_collector() -> Iterator[None]:
    """Freezes all existing objects and raises the thresholds; restores both at the end
    of the `with`.

    The collector is global. Nothing changes if objects are frozen already (by a
    surrounding `with`, or other code) or if the collector is disabled.
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
