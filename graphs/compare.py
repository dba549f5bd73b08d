"""Compares runs over the same questions: accuracy, cost, and the paired difference to
the first run.

    python -m graphs.compare greedy majority runs/loop [--group locks] [--json]

Cost has two measures, both summed over all roles: generated tokens, and FLOPs =
2 x parameters x (generated + uncached prompt tokens). FLOPs assume that the models of
all roles have the policy's size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.types import BadDataError
from configs.cli import Parser
from graphs.evaluation.intervals import PairedDifference, Proportion
from graphs.terminal.console import guarded, run_folder
from graphs.traces.store import TraceStore
from graphs.traces.trace import Trace


def flops(trace: Trace) -> float:
    """Returns the floating-point operations of a thought; 0 if the model's size is
    unknown.
    """
    tokens = sum(
        usage.generated_tokens + usage.prompt_tokens - usage.cached_prompt_tokens
        for usage in trace.usage.values()
    )
    return 2.0 * trace.engine.parameters * tokens


def read(folder: Path, group: str | None = None) -> dict[str, Trace]:
    """Returns the scored traces of a run by question; `group` is a family, or "family
    level N".

    Raises:
        FileNotFoundError: the folder holds no run; `find_run` finds one by its name.
        BadDataError: the run has no scored question of the group.
    """
    with TraceStore.read(folder) as store:
        traces = {
            trace.question.hash: trace
            for trace in store.outcomes()
            if trace.correct is not None and _is_of(trace, group)
        }
    if not traces:
        of_group = f" of {group}" if group else ""
        raise BadDataError(
            f"{folder} holds no scored question{of_group}; compare runs whose questions came with "
            "right answers"
        )
    return traces


def names(folders: Sequence[Path]) -> list[str]:
    """Returns the name of each run's folder, or all paths if two names are equal.

    Raises:
        BadDataError: a folder is named twice.
    """
    resolved = [folder.resolve() for folder in folders]
    if twice := next(
        (folder for number, folder in enumerate(resolved) if folder in resolved[:number]), None
    ):
        raise BadDataError(f"{twice} is named twice; compare it with another run")
    found = [folder.name for folder in resolved]
    return found if len(set(found)) == len(found) else [str(folder) for folder in folders]


def compare(runs: dict[str, dict[str, Trace]]) -> list[dict[str, Any]]:
    """Returns one row per run, over the questions that all runs share.

    Raises:
        BadDataError: the runs share no question.
    """
    shared = sorted(set.intersection(*(set(traces) for traces in runs.values())))
    if not shared:
        raise BadDataError(
            "the runs share no question; compare runs of the same task, split and seed"
        )
    rows = []
    base: list[bool] = []
    for name, traces in runs.items():
        right = [bool(traces[question].correct) for question in shared]
        base = base or right
        share, difference = Proportion(sum(right), len(right)), PairedDifference.of(base, right)
        rows.append(
            {
                "run": name,
                "questions": len(shared),
                "accuracy": share.value,
                "interval": share.interval,
                "generated_tokens": sum(
                    sum(u.generated_tokens for u in traces[q].usage.values()) for q in shared
                )
                / len(shared),
                "megaflops": sum(flops(traces[q]) for q in shared) / len(shared) / 1e6,
                "difference": difference.value,
                "difference_interval": difference.interval,
                "p_value": difference.p_value,
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        f"{rows[0]['questions']} questions that all runs were asked; differences are paired, to "
        "the first row, with 95 % intervals.",
        "",
        "| run | accuracy | generated tokens | MFLOPs | difference | p (McNemar) |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        (low, high), (below, above) = row["interval"], row["difference_interval"]
        difference = (
            (f"{row['difference']:+.3f} [{below:+.3f}, {above:+.3f}] | {row['p_value']:.2g}")
            if row is not rows[0]
            else " | "
        )
        lines.append(
            f"| {row['run']} | {row['accuracy']:.3f} [{low:.3f}, {high:.3f}] | "
            f"{row['generated_tokens']:.1f} | {row['megaflops']:.0f} | {difference} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.compare",
        description="Compares runs over the same questions: paired differences and costs.",
        examples=(("greedy beam", "two runs by name"), ('a b --group "locks level 3"', "")),
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        help="names or directories of runs; differences are to the first",
    )
    parser.add_argument(
        "--group", help='only this family ("locks"), or this level of it ("locks level 3")'
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args(argv)
    folders = [run_folder(run) for run in arguments.runs]
    rows = compare(
        dict(
            zip(names(folders), (read(folder, arguments.group) for folder in folders), strict=True)
        )
    )
    print(json.dumps(rows) if arguments.json else table(rows))
    return 0


def _is_of(trace: Trace, group: str | None) -> bool:
    family, level = trace.question.metadata.get("family"), trace.question.metadata.get("level")
    return group in (None, family, f"{family} level {level}")


if __name__ == "__main__":
    sys.exit(guarded(main))
