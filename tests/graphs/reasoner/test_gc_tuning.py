"""The collector is patient for a while, and then what it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from graphs.reasoner.gc_tuning import THRESHOLDS, patient_collector


def settings() -> tuple[tuple[int, int, int], bool]:
    """Returns the thresholds, and whether anything is frozen."""
    return gc.get_threshold(), gc.get_freeze_count() > 0


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_the_collector_is_patient_inside_and_afterwards_as_it_was() -> None:
    gc.set_threshold(701, 11, 12)
    with pytest.raises(KeyError), patient_collector():
        assert settings() == (THRESHOLDS, True)
        raise KeyError
    assert settings() == ((701, 11, 12), False)


def test_the_outermost_body_decides_whichever_ends_first() -> None:
    before = settings()
    outer, inner = patient_collector(), patient_collector()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert settings() == before
    inner.__exit__(None, None, None)
    assert settings() == before


@pytest.mark.parametrize("thresholds", [(0, 10, 10), (700, 10, 10)])
def test_who_has_stopped_it_or_frozen_objects_is_left_alone(
    thresholds: tuple[int, int, int],
) -> None:
    gc.set_threshold(*thresholds)
    if thresholds[0]:
        gc.freeze()
    before = settings()
    with patient_collector():
        assert settings() == before
    assert settings() == before
