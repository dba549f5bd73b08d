"""Exports a run for `datasets.load_dataset`.

    python -m graphs.export runs/first first.parquet [--reveal]

Without `--reveal` a row holds what a user may see; with it also the hidden thought, for training and audit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from graphs.terminal import guarded, run_folder
from graphs.traces.export import export
from graphs.traces.store import TraceStore


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m graphs.export", description="Exports the traces of a run.")
    parser.add_argument("run", type=Path, help="name or directory of a run")
    parser.add_argument("file", type=Path, help="file to write: .jsonl or .parquet")
    parser.add_argument("--reveal", action="store_true", help="with the hidden thought and the whole trace")
    arguments = parser.parse_args(argv)
    folder = run_folder(arguments.run)
    with TraceStore.read(folder) as store:
        count = export(store, arguments.file, reveal=arguments.reveal)
    print(f"{count} traces in {arguments.file}")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
