"""Signs of life."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from configs import compose
from graphs import run
from graphs.reasoner import terminal
from graphs.reasoner.graph import Progress


class Told(io.StringIO):
    """A stderr that says when somebody was told to wait on."""

    def __init__(self, sign: str = "still starting") -> None:
        super().__init__()
        self.sign = sign
        self.still = threading.Event()

    def write(self, text: str) -> int:
        if self.sign in text:
            self.still.set()
        return super().write(text)


def test_a_long_start_is_told_again_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(terminal, "TELL_EVERY_S", 0.001)
    with terminal.starting(
        compose(["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"])
    ):
        assert told.still.wait(timeout=60)
    assert told.getvalue().startswith("starting the scripted engine ...")


def test_a_long_request_is_told_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(sign="suggesting steps")
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(terminal, "TELL_EVERY_S", 0.001)
    with terminal.thinking() as show:
        show(Progress("select", rounds=0, nodes=1))
        assert told.still.wait(timeout=60)


def test_a_run_is_told_while_no_question_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(sign="0/3 questions, still thinking")
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr(run, "TELL_EVERY_S", 0.001)
    with run._Bar(3, [], scored=False, shown=True):
        assert told.still.wait(timeout=60)


def test_a_closed_stdout_does_not_end_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal.guarded(lambda: 0) == 0
