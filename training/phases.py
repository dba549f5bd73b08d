"""Which phases of a run are finished: one JSON file each, written whole when the phase has ended.

A run that is started again under its name skips what has such a file. What a phase leaves behind (traces, model folders) is written before
its file, so a killed process at worst repeats one phase.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.files import read_json, write_text


class Phases:
    """The finished phases of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "phases"

    def result(self, name: str) -> dict[str, Any] | None:
        """Returns what a finished phase came to, None when it is not finished."""
        file = self.folder / f"{name}.json"
        if not file.is_file():
            return None
        return read_json(file)

    def once(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the result of a phase; `work` is called only where it was not finished before. The result is plain values."""
        found = self.result(name)
        if found is not None:
            return found
        values = json.loads(json.dumps(work()))  # what a restarted run would read
        write_text(self.folder / f"{name}.json", json.dumps(values) + "\n")
        finished: dict[str, Any] = values
        return finished
