"""Signs of life."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from configs import compose
from graphs import terminal


class Told(io.StringIO):
    """A stderr that says when somebody was told to wait on."""

    def __init__(self) -> None:
        super().__init__()
        self.still = threading.Event()

    def write(self, text: str) -> int:
        if "still starting" in text:
            self.still.set()
        return super().write(text)


def test_a_long_start_is_told_again_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(terminal, "TELL_EVERY_S", 0.001)
    with terminal.starting(compose(["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"])):
        assert told.still.wait(timeout=60)
    assert told.getvalue().startswith("starting the scripted engine ...")


def test_a_closed_stdout_does_not_end_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal.guarded(lambda: 0) == 0
