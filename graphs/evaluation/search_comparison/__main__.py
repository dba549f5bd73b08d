"""Rewrites the report of a comparison; the comparison may be unfinished.

python -m graphs.comparison runs/search_comparison
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from configs.cli import Parser
from graphs.evaluation.search_comparison.report.report import write_report
from graphs.terminal.console import guarded


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.comparison",
        description="Writes tables and figures from the finished cells.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        help="folder of a comparison, as graphs.run -m experiment=search_comparison makes it",
    )
    print(write_report(parser.parse_args(argv).folder))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
