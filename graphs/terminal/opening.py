"""An open reasoner for a command, with a sign of life while its engines start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from configs import RunConfig
from graphs.reasoner.reasoner import Reasoner
from graphs.terminal.console import starting


@contextmanager
def open_reasoner(config: RunConfig) -> Iterator[Reasoner]:
    """Opens the engines of `config`, and closes them at the end of the `with`.

    Raises:
        EngineError, ValueError: see `graphs.reasoner.resources.start_resources`.
    """
    with ExitStack() as stack:
        with starting(config):
            reasoner = stack.enter_context(Reasoner(config))
        yield reasoner
