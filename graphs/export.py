"""Exports a run for `datasets.load_dataset` and for TRL's trainers.

    python -m graphs.export runs/first first.parquet [--reveal]
    python -m graphs.export runs/first sft.jsonl --format sft
    python -m graphs.export runs/first dpo.jsonl --format dpo

A row holds what a user may see; with `--reveal` also the hidden thought, for training
and audit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from configs.cli import Parser
from graphs.terminal.console import console, counted, guarded, run_folder
from graphs.traces.export import FORMATS, export
from graphs.traces.store import TraceStore

_UNITS = {"trace": "traces", "sft": "answers", "dpo": "pairs"}
_LEFT_OUT = {"trace": "traces", "sft": "traces", "dpo": "questions"}
_REASONS = {
    "wrong_answer": "with a wrong answer",
    "no_answer": "without an answer",
    "no_wrong_answer": "without a wrong answer",
    "no_right_answer": "without a right answer",
}
"""Reasons as phrases that follow a count; other reasons are printed as they are."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.export",
        description="Exports the traces of a run for data sets and trainers.",
        examples=(
            ("NAME traces.jsonl", "a row for each trace, for datasets.load_dataset"),
            ("NAME sft.jsonl --format sft", "right answers, for TRL's SFTTrainer"),
        ),
    )
    parser.add_argument("run", type=Path, help="name or directory of a run")
    parser.add_argument("file", type=Path, help="file to write: .jsonl or .parquet")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="trace",
        help="trace: a row for each trace (default); sft: right and unscored answers, for TRL's "
        "SFTTrainer; "
        "dpo: pairs of a right and a wrong answer to one question, for TRL's DPOTrainer",
    )
    parser.add_argument(
        "--reveal", action="store_true", help="with the hidden thought; trace: and the whole trace"
    )
    parser.add_argument(
        "--keep-wrong", action="store_true", help="sft: also wrong answers, with correct false"
    )
    arguments = parser.parse_args(argv)
    folder = run_folder(arguments.run)
    with TraceStore.read(folder) as store:
        found = export(
            *(store, arguments.file),
            format=arguments.format,
            reveal=arguments.reveal,
            keep_wrong=arguments.keep_wrong,
        )
    print(f"{counted(found.rows, _UNITS[arguments.format])} in {arguments.file}")
    if found.left_out:
        left_out = counted(sum(found.left_out.values()), _LEFT_OUT[arguments.format])
        reasons = (
            f"{count} {_REASONS.get(reason, reason.replace('_', ' '))}"
            for reason, count in sorted(found.left_out.items())
        )
        print(f"left out {left_out}: {', '.join(reasons)}")
    for note in found.notes:
        console.print(f"warning: {note}", style="yellow", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
