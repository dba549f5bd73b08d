"""Runs benchmarks and prints what they measured.

    python -m tests.bench [NAME ...] [--quick] [--questions N] [--repeats N]
        [--json FILE]

Without a name all of them run. Every figure is measured in this run; a target is
printed beside its figure, and missing it is no failure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.figures import Options, Result, render

SECTIONS = {
    "engine": "tokens per second of a search over those of a replay of its requests",
    "smollm2": "the same on SmolLM2-135M, where the engine is the "
    "bottleneck (needs `make smol`; long "
    "on a CPU)",
    "overhead": "our CPU time per engine call, and of a strategy's decision on a large tree",
    "questions": "time and memory per question with up to 10,000 in flight",
    "orchestration": "questions that do not wait for each other, against a "
    "sequential and a lock-step loop",
    "admission": "more requests than the engine holds: first begun, first finished",
    "solved": "tokens and time per solved problem, of every strategy",
    "injection": "share of injected verdicts that succeed, against "
    "models that parrot and real ones",
    "profile": "where our CPU time goes",
}


def run_section(name: str, options: Options) -> Result:
    """Runs one benchmark: the function `run` of its module."""
    section: Callable[[Options], Result] = import_module(f"tests.bench.{name}").run
    return section(options)


def main(argv: Sequence[str] | None = None) -> None:
    defaults = Options()
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Runs benchmarks and prints what they measured."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(
        ["benchmarks:", *(f"  {name:15}{what}" for name, what in SECTIONS.items())]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all without a name")
    parser.add_argument(
        "--quick", action="store_true", help="everything small and without vLLM: a smoke test"
    )
    parser.add_argument(
        "--questions",
        type=int,
        default=defaults.questions,
        help="questions of engine, smollm2, solved, admission (64 at most)",
    )
    parser.add_argument(
        "--repeats", type=int, default=defaults.repeats, help="rounds over what is compared"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args(argv)
    if unknown := [name for name in arguments.names if name not in SECTIONS]:
        parser.error(f"no benchmark is called {unknown[0]!r}; choose from {', '.join(SECTIONS)}")
    options = Options(
        arguments.questions, 1 if arguments.quick else arguments.repeats, arguments.quick
    )
    machine: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "options": asdict(options),
    }
    print(
        f"{machine['cores']} cores, load {machine['load_before']:.1f} before the start, Python "
        f"{machine['python']}",
        flush=True,
    )
    results = {}
    for name in arguments.names or SECTIONS:
        start = time.monotonic()
        result = run_section(name, options)
        print(f"\n== {name} ({time.monotonic() - start:.0f} s)")
        for table in result.tables:
            print(render(table))
        for note in result.notes:
            print(f"  note: {note}")
        print(end="", flush=True)
        results[name] = asdict(result)
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps({"machine": machine, "results": results}, indent=2, allow_nan=False) + "\n"
        )


if __name__ == "__main__":
    main()
