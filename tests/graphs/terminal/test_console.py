"""Signs of life."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from configs import compose
from graphs.reasoner.graph import Progress
from graphs.terminal import console, progress


class Recorded(io.StringIO):
    """A stderr that sets an event when a text is written to it."""

    def __init__(self, sign: str = "still starting") -> None:
        super().__init__()
        self.sign = sign
        self.written = threading.Event()

    def write(self, text: str) -> int:
        if self.sign in text:
            self.written.set()
        return super().write(text)


def test_a_long_start_is_reported_again_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = Recorded()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(console, "REPORT_EVERY_S", 0.001)
    with console.starting(
        compose(["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"])
    ):
        assert stderr.written.wait(timeout=60)
    assert stderr.getvalue().startswith("starting the scripted engine ...")


def test_a_client_of_a_model_server_starts_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Recorded()
    monkeypatch.setattr(sys, "stderr", stderr)
    with console.starting(compose(["engine=openai", "engine.base_url=http://host:8000/v1"])):
        pass
    assert stderr.getvalue() == "connecting to the model server ...\n"


def test_a_long_request_is_reported_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Recorded(sign="judging steps (3 steps tried)")
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(console, "REPORT_EVERY_S", 0.001)
    with console.thinking() as show:
        show(Progress("suggest", rounds=1, nodes=4))
        assert stderr.written.wait(timeout=60)


def test_a_run_is_reported_while_no_question_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Recorded(sign="0/3 questions, still thinking")
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.001)
    with progress.ProgressBar(3, [], scored=False, shown=True):
        assert stderr.written.wait(timeout=60)


def test_a_closed_stdout_does_not_end_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert console.guarded(lambda: 0) == 0
