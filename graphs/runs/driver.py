"""One run: asks the missing questions, and writes metrics and report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from agents.engines import loop
from agents.files import read_json, storing, write_text
from agents.types import EngineError, Question, StorageError
from configs import RunConfig, config_hash, to_yaml
from graphs.evaluation.run_report import Tally, report
from graphs.reasoner.batch import Outcome, run_questions
from graphs.reasoner.resources import forget, register
from graphs.runs.session import Session
from graphs.terminal.console import METRICS, console, counted, resuming, run_name
from graphs.terminal.progress import ProgressBar
from graphs.traces.store import FILE_NAME, TraceStore


def run(config: RunConfig, session: Session | None = None) -> tuple[Path, dict[str, Any], Outcome]:
    """Carries out one run and returns its directory, its metrics, and the counts of
    answers and failed questions.

    `session` shares open engines with other runs; None: the run opens and closes its
    own.
    """
    if session is None:
        with Session() as own:
            return run(config, own)
    name = run_name(config.run, f"{config.task.name}-{config.search.strategy}")
    folder = config.run.output_dir / name
    data = session.load(config)
    for problem in [*data.problems, *data.notes]:
        console.print(f"warning: {problem}", style="yellow", markup=False, soft_wrap=True)
    text = to_yaml(config)
    with (
        _resumable(config, folder),
        TraceStore.open(folder, config_hash=config_hash(config), config_yaml=text) as store,
    ):
        store.require_same_questions(data.questions)
        finished = store.finished()
        missing = [question for question in data.questions if (question.hash, 0) not in finished]
        if store.thoughts_deleted_on is not None:
            return folder, _kept_metrics(folder, store, missing), Outcome()
        write_text(folder / "config.yaml", text)
        if store.damaged:  # the damaged questions are asked again
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
    """Returns the stored metrics of a finished run whose thoughts were deleted; they
    can be neither extended nor recomputed.

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
    """Adds a note with the options that resume the run to the error that stops it:
    Ctrl-C, or a failure of an engine or the disk.
    """
    try:
        yield
    except (KeyboardInterrupt, EngineError, StorageError) as error:
        is_begun = os.path.isfile(folder / FILE_NAME)  # False for a folder without permission
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
        store.require_same_contents(resources.contents)
        scored = any(question.is_scored for question in questions)
        with ProgressBar(
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
