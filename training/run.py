"""Trains the policy, or heads that a search reads, and measures what the policy gained.

    python -m training.run [experiment=sft_grpo] [run=NAME] [key=value ...]
    python -m training.run training=sft training.from_runs=[runs/NAME]

`runs/NAME` then holds the trained model, report.md, metrics.json, the resolved config
and the traces. The same command with the same name goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from configs import compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.terminal.console import guarded
from training.driver import run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m training.run",
        description="Trains the policy, or heads, on traces and measures the gain.",
        examples=(
            ("experiment=sft_grpo", "traces, SFT, GRPO, publication and evaluation"),
            ("training=sft training.from_runs=[runs/NAME]", "SFT on the traces of a run"),
            ("run=NAME experiment=sft_grpo", "the same command resumes a stopped training"),
        ),
        common=(
            *("experiment", "training", "task", "search", "engine", "engine.model"),
            *("training.from_runs", "run.name", "run.seed"),
        ),
    )
    add_override_arguments(parser)
    arguments = parse(parser, argv)
    config = compose(split_overrides(arguments), require=("training",))
    folder, _ = run(config)
    print(f"see {folder}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
