"""The stage that writes traces: it runs questions of the train split through the
graph.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.engines import loop
from agents.types import Question
from graphs.reasoner.batch import run_questions
from training.stages.base import Stage, StageResult, TrainingRun


@dataclass(frozen=True, slots=True)
class WriteTraces(Stage):
    """Asks the questions that have no trace in the run's store yet."""

    num_questions: int
    name: str = "traces"
    title: str = "traces"

    def run(self, run: TrainingRun, questions: Sequence[Question]) -> StageResult:
        start = time.monotonic()
        finished = run.store.finished()
        missing = [question for question in questions if (question.hash, 0) not in finished]
        key = run.reasoner_key
        with run.progress(self.title, len(missing)) as progress:
            outcome = loop.run(
                run_questions(
                    missing,
                    key,
                    concurrency=run.config.run.concurrency,
                    on_answer=lambda answer: progress.advance(),
                )
            )
        right = sum(row["correct"] is True for row in run.store.visible())
        return {
            "traces": len(run.store),
            "right": right,
            "failed": outcome.failed,
            "seconds": time.monotonic() - start,
        }

    def describe(self, result: StageResult) -> list[str]:
        return [
            f"traces: {result['traces']} questions through the graph, {result['right']} right, "
            f"{result['seconds']:.0f} s"
        ]
