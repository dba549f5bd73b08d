"""Runs a set of questions through the graph and writes traces, metrics.json and a
report to runs/NAME.

    python -m graphs.run [experiment=pocket_loop] [task=gsm8k task.path=test.jsonl]
        [run=NAME] [-m key=a,b]
    python -m graphs.run -m experiment=search_comparison

Every finished question is stored at once. `run=NAME` resumes a run that was stopped or
killed, with its stored configuration, and asks only the missing questions; another
configuration under the same name is refused with the differences. With -m every
combination of comma lists is a run, and so is every cell of a comparison
(graphs/evaluation/search_comparison). The engine stays open between runs; its cache is
emptied.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.evaluation.run_report import unscored
from graphs.reasoner.batch import Outcome
from graphs.runs.configurations import configurations
from graphs.runs.driver import run
from graphs.runs.session import Session
from graphs.terminal.console import FAILED, console, counted, guarded


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.run",
        description="Runs a set of questions through the graph and stores traces and metrics.",
        examples=(
            ("experiment=pocket_loop", "an experiment on the embedded pocket model"),
            ("task=gsm8k task.path=test.jsonl experiment=chat engine.model=FOLDER", "a data set"),
            ("run=NAME", "resumes a run that was stopped or killed"),
            ("-m search=greedy,best_of_n run.seed=0,1", "a sweep of four runs"),
        ),
        common=(
            *("experiment", "task", "search", "effort", "critic", "engine"),
            *("task.path", "task.limit", "run.name", "run.concurrency", "run.seed"),
        ),
    )
    add_override_arguments(parser, multirun=True)
    arguments = parse(parser, argv)
    overrides = split_overrides(arguments)
    code = 0
    with Session() as session:
        for config in configurations(overrides, multirun=arguments.multirun):
            code = max(code, _print_results(*run(config, session)))
    return code


def _print_results(folder: Path, metrics: Mapping[str, Any], outcome: Outcome) -> int:
    """Prints the results of a run and returns the exit code."""
    for group, share in metrics["accuracy"].items():
        low, high = share["interval"]
        print(
            f"{group}: {share['right']}/{share['of']} right, {share['value']:.3f} [{low:.3f}, "
            f"{high:.3f}]"
        )
    if metrics.get("not_scored"):  # metrics of older versions have none
        print(f"not scored: {unscored(metrics)}")
    tokens = metrics["generated_tokens_per_question"]
    print(
        f"{counted(metrics['questions'], 'questions')}, {tokens:.1f} generated tokens each; see "
        f"{folder}/report.md"
    )
    if metrics.get("not_scored"):
        print(f"the answers: longthought export {folder} {folder.name}.jsonl")
    if unchecked := sum(metrics["unchecked"].values()):
        console.print(
            f"{counted(unchecked, 'answers')} could not be checked; excluded from accuracy",
            style="yellow",
            markup=False,
        )
    if outcome.failed:
        console.print(
            f"{counted(len(outcome.failed), 'questions')} could not be asked, the first because: "
            f"{next(iter(outcome.failed.values()))}; see the report",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
