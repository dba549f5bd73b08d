"""Runs a set of questions through the graph: traces, metrics.json and a report in
runs/NAME.

    python -m graphs.run [experiment=pocket_loop] [task=gsm8k task.path=test.jsonl]
        [run=NAME] [-m key=a,b]
    python -m graphs.run -m experiment=search_comparison

Every finished question is on disk the moment it is finished. `run=NAME` takes up a run
that was stopped or killed and asks only what is missing, with the configuration that it
was begun with; a different one under the same name is refused with the difference. With
-m every combination of comma lists is a run, and so is every cell of a comparison
(graphs/evaluation/search_comparison); the engine stays open from one run to the next,
with an empty cache.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from agents.engines import loop
from agents.files import read_json, storing, write_text
from agents.types import EngineError, Question, StorageError
from configs import ConfigError, RunConfig, compose, config_hash, sweep, to_yaml
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from configs.messages import closest
from configs.schema import OPERATIONAL, RunOptions
from graphs.evaluation.run_report import Tally, report, unscored
from graphs.evaluation.search_comparison import carry_out
from graphs.reasoner.batch import Outcome, run_questions
from graphs.reasoner.graph import Answer
from graphs.reasoner.resources import forget, register
from graphs.reasoner.session import Session
from graphs.reasoner.terminal import (
    FAILED,
    METRICS,
    TELL_EVERY_S,
    console,
    counted,
    guarded,
    resuming,
)
from graphs.traces.store import FILE_NAME, TraceStore

_OPERATIONAL = [
    name for name, option in RunOptions.model_fields.items() if OPERATIONAL in option.metadata
]
"""Options of a run that influence no result."""


def run(config: RunConfig, session: Session | None = None) -> tuple[Path, dict[str, Any], Outcome]:
    """Carries out one run and returns its directory, its metrics and what could not be
    asked.

    `session`: of the runs before and after it, which keeps the engines open; None: the
    run opens and closes its own.
    """
    if session is None:
        with Session() as own:
            return run(config, own)
    name = (
        config.run.name
        or f"{datetime.now():%Y%m%d-%H%M%S}-{config.task.name}-{config.search.strategy}"
    )
    folder = config.run.output_dir / name
    data = session.load(config)
    for problem in [*data.problems, *data.notes]:
        console.print(f"warning: {problem}", style="yellow", markup=False, soft_wrap=True)
    text = to_yaml(config)
    with (
        _resumable(config, folder),
        TraceStore.open(folder, config_hash=config_hash(config), config_yaml=text) as store,
    ):
        store.hold_to_questions(data.questions)
        finished = store.finished()
        missing = [question for question in data.questions if (question.hash, 0) not in finished]
        if store.thoughts_deleted_on is not None:
            return folder, _kept_metrics(folder, store, missing), Outcome()
        write_text(folder / "config.yaml", text)
        if store.damaged:  # what was finished is so no longer
            with storing(folder / METRICS):
                (folder / METRICS).unlink(missing_ok=True)
        done = (
            f"{len(data.questions) - len(missing)} of {len(data.questions)} questions are "
            "finished already"
        )
        what = (
            f"run {name}: {done}"
            if finished
            else f"new run {folder}: {counted(len(data.questions), 'questions')}, "
            f"search={config.search.strategy}"
        )
        console.print(what, markup=False, soft_wrap=True)
        seconds, outcome = (
            _ask(config, missing, store, name, session) if missing else (None, Outcome())
        )
        tally = Tally().add_all(store)
        metrics = tally.metrics(seconds=None if finished else seconds, failed=outcome.failed)
        model = config.engine_of("policy").keywords().get("model") or tally.model
        write_text(folder / METRICS, json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        write_text(folder / "report.md", report(metrics, run=name, model=model, config_yaml=text))
    return folder, metrics, outcome


def _kept_metrics(folder: Path, store: TraceStore, missing: Sequence[Question]) -> dict[str, Any]:
    """Returns the metrics of a finished run whose thoughts were deleted: they can be
    neither added to nor counted again.

    Raises:
        ThoughtsDeletedError: the run is not finished.
    """
    if missing or not (folder / METRICS).is_file():
        store.require_thoughts()
    done = (
        f"run {store.run} is finished, and its thoughts were deleted on "
        f"{store.thoughts_deleted_on}; nothing is asked again"
    )
    console.print(done, markup=False, soft_wrap=True)
    return read_json(
        folder / METRICS, "accuracy", "generated_tokens_per_question", "questions", "unchecked"
    )


@contextmanager
def _resumable(config: RunConfig, folder: Path) -> Iterator[None]:
    """Notes the options that resume the run on the error that stops it: of Ctrl-C, an
    engine or the disk.
    """
    try:
        yield
    except (KeyboardInterrupt, EngineError, StorageError) as error:
        is_begun = os.path.isfile(folder / FILE_NAME)  # False, too, where it may not be seen
        if config.comparison is not None:
            again = "the same command"
        else:
            again = (
                resuming(folder)
                if is_begun
                else f"{resuming(folder)} and the other options of this command"
            )
        error.add_note(
            f"{'every finished question is stored' if is_begun else 'nothing is stored yet'}; go "
            f"on with {again}"
        )
        raise


def _ask(
    config: RunConfig, questions: Sequence[Question], store: TraceStore, name: str, session: Session
) -> tuple[float, Outcome]:
    resources = session.open(config, sink=store.record, run=name)
    key = uuid4().hex
    register(key, resources)
    try:
        store.hold_to(resources.contents)
        scored = any(question.is_scored for question in questions)
        with _Bar(
            len(store) + len(questions),
            store.visible(),
            scored=scored,
            shown=config.run.show_progress,
        ) as bar:
            start = time.monotonic()
            work = run_questions(
                questions, key, concurrency=config.run.concurrency, on_answer=bar.advance
            )
            outcome = loop.run(work)
            return time.monotonic() - start, outcome
    finally:
        forget(key)
        loop.run(resources.close())


class _Bar:
    """Progress: questions done, how many of the scored ones are right, tokens, time
    left. Quiet where nobody watches.
    """

    def __init__(
        self, total: int, finished: Iterable[Mapping[str, Any]], *, scored: bool, shown: bool
    ) -> None:
        """`finished`: what an earlier start of the run has done, as
        `TraceStore.visible` yields it. `scored`: whether a question that is left has a
        right answer to compare with.
        """
        self._unscored = "thinking" if scored else "not scored"
        self._done = self._right = self._scored = self._tokens = 0
        for row in finished:
            self._count(row["correct"], row["usage"])
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, console=console, disable=not (shown and console.is_terminal)
        )
        self._task: TaskID = self._progress.add_task("thinking", total=total, completed=self._done)
        self._total, self._shown = total, shown
        self._told = time.monotonic()
        self._done_with = threading.Event()
        self._teller = threading.Thread(target=self._tell_in_silence, daemon=True)

    def __enter__(self) -> _Bar:
        self._progress.__enter__()
        if self._shown and not console.is_terminal:
            self._teller.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done_with.set()
        if self._teller.is_alive():
            self._teller.join()
        self._progress.__exit__(*error)

    def advance(self, answer: Answer) -> None:
        self._count(answer.correct, answer.usage.values())
        solved = f"solved {self._right}/{self._scored}" if self._scored else self._unscored
        self._progress.update(
            self._task, advance=1, description=f"{solved}, {self._tokens:,} tokens"
        )
        if not self._shown or console.is_terminal:
            return
        if (
            self._done % max(1, self._total // 10) == 0
            or time.monotonic() - self._told > TELL_EVERY_S
        ):
            self._tell(f"{solved}, {self._tokens:,} tokens")

    def _tell_in_silence(self) -> None:
        """Tells every minute that the run goes on, where no question is finished for so
        long.
        """
        while not self._done_with.wait(TELL_EVERY_S):
            if time.monotonic() - self._told > 4 * TELL_EVERY_S:
                self._tell("still thinking")

    def _tell(self, what: str) -> None:
        self._told = time.monotonic()
        print(f"{self._done}/{self._total} questions, {what}", file=sys.stderr, flush=True)

    def _count(self, correct: bool | None, usage: Iterable[Mapping[str, Any]]) -> None:
        self._done += 1
        self._scored += correct is not None
        self._right += correct is True
        self._tokens += sum(spent["generated_tokens"] for spent in usage)


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
        for config in _configurations(overrides, multirun=arguments.multirun):
            code = max(code, _tell(*run(config, session)))
    return code


def _configurations(overrides: Sequence[str], *, multirun: bool) -> Iterator[RunConfig]:
    """Yields what is to be run: one configuration; with -m one for each combination,
    and for each cell of a comparison.
    """
    for number, combination in enumerate(sweep(overrides) if multirun else [list(overrides)]):
        config = compose(combination)
        if not multirun:
            config = _begun(config, combination)
        if config.task.name == "user":
            compose(combination, require=("task",))  # raises, with the tasks that have questions
        if config.comparison is not None and not multirun:
            raise ConfigError(
                f"comparison ({config.comparison.kind}) is many runs and this is one; add -m"
            )
        if config.comparison is not None:
            yield from carry_out(config, combination)
        elif multirun and config.run.name is not None:
            yield compose([*combination, f"run={config.run.name}-{number}"], require=("task",))
        else:
            yield config


def _begun(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Returns the configuration that a run was begun with, where it is there already
    and nothing but its name and place are given.

    Raises:
        RunConflictError: it is there and more is given, of which another configuration
            comes.
    """
    run = config.run
    if run.name is None:
        return config
    folder, is_name_alone = run.output_dir / run.name, _names_alone(overrides)
    if not (folder / FILE_NAME).is_file():
        if is_name_alone:
            console.print(_no_such_run(folder), style="yellow", markup=False, soft_wrap=True)
        return config
    with TraceStore.read(folder) as store:
        if not is_name_alone:
            store.hold_to_config(config_hash(config), to_yaml(config))
            return config
        begun = store.config
    given = {
        name: getattr(run, name)
        for name in _OPERATIONAL
        if name in ("name", "output_dir") or f"run.{name}" in _keys(overrides)
    }
    return begun.model_copy(update={"run": begun.run.model_copy(update=given)})


def _names_alone(overrides: Sequence[str]) -> bool:
    """Whether overrides say nothing but which run is meant, and how it is carried
    out.
    """
    return _keys(overrides) <= {"run", *(f"run.{name}" for name in _OPERATIONAL)}


def _keys(overrides: Sequence[str]) -> set[str]:
    return {override.partition("=")[0] for override in overrides}


def _no_such_run(folder: Path) -> str:
    """Returns the warning that a name that stands alone begins a run, with the names
    that may have been meant.
    """
    names = [path.parent.name for path in folder.parent.glob(f"*/{FILE_NAME}")]
    meant = closest(folder.name, names)
    hint = f"did you mean {' or '.join(f'run={name}' for name in meant)}? " if meant else ""
    return (
        f"warning: there is no run {folder} to go on with; {hint}A new one begins, with the "
        "default options"
    )


def _tell(folder: Path, metrics: Mapping[str, Any], outcome: Outcome) -> int:
    """Prints what a run came to, and returns its exit code."""
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
    if unchecked := sum(metrics["unchecked"].values()):
        console.print(
            f"{unchecked} answers could not be checked and are in no accuracy",
            style="yellow",
            markup=False,
        )
    if outcome.failed:
        console.print(
            f"{len(outcome.failed)} questions could not be asked; the report names them",
            style="yellow",
            markup=False,
        )
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
