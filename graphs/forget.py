"""Deletes the stored thoughts of a run, and keeps what a user may see of it.

    python -m graphs.forget NAME [--yes] [--everything]

Steps, verdicts, reflections, long thoughts and prompts are removed from the store for
good. Metrics, report, questions, answers and summaries stay: the run can be compared,
and exported without `--reveal`, but neither trained on nor resumed. `--everything`
deletes the run's files instead, but keeps a trained model in its folder. Exported files
are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from configs.cli import Parser
from graphs.terminal.console import FAILED, console, guarded
from graphs.traces.deletion import delete_record, delete_thoughts
from graphs.traces.store import find_run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.forget",
        description="Deletes the stored thoughts of a run.",
        examples=(("NAME", "keeps metrics, report, questions, answers and summaries"),),
    )
    parser.add_argument("run", type=Path, help="name or directory of a run")
    parser.add_argument("--yes", action="store_true", help="do not ask for a confirmation")
    parser.add_argument(
        "--everything",
        action="store_true",
        help="delete all that the run has written, not only its thoughts",
    )
    arguments = parser.parse_args(argv)
    folder = find_run(arguments.run)
    what = (
        f"everything that {folder} recorded"
        if arguments.everything
        else f"the thoughts of {folder}"
    )
    if not arguments.yes and not _confirmed(what):
        console.print("nothing was deleted.", markup=False)
        return FAILED
    if arguments.everything:
        left = delete_record(folder)
        print(
            f"deleted {what}"
            + (f"; not a part of it, and left: {', '.join(map(str, left))}" if left else "")
        )
        return 0
    found = delete_thoughts(folder, day=date.today())
    done = (
        f"{what} were deleted on {found.deleted_on} already"
        if found.is_repeated
        else f"deleted {what}"
    )
    print(f"{done}; {found.traces} traces are kept without them")
    if found.damaged:
        console.print(
            f"{found.damaged} traces were damaged and are removed whole",
            style="yellow",
            markup=False,
        )
    return 0


def _confirmed(what: str) -> bool:
    """Asks for a confirmation at the terminal.

    Raises:
        ValueError: stdin is no terminal.
    """
    if not sys.stdin.isatty():
        raise ValueError(
            f"deleting {what} cannot be undone and there is no terminal to confirm it at; add --yes"
        )
    return input(f"Delete {what}? This cannot be undone. [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(guarded(main))
