"""A process that records traces until it is killed: `python -m
tests.graphs.traces.recorder RUN_DIR`.

Prints the index of each trace once `record` has returned. Starts after what the store
holds already, as a resumed run does.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from graphs.traces.store import TraceStore
from tests.graphs.traces.samples import ordinary_trace


def main(run_dir: Path) -> None:
    with TraceStore.open(run_dir, config_hash="c0ffee", config_yaml="{}") as store:
        for index in count():
            trace = replace(ordinary_trace(index), run=run_dir.name)
            if (trace.question.hash, trace.sample) not in store.finished():
                store.record(trace)
                print(index, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
