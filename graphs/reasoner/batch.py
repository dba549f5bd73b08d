"""Many questions at once, without a barrier between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.types import ContextLengthError, Question
from graphs.reasoner.gc_tuning import patient_collector
from graphs.reasoner.graph import Answer, think


@dataclass(frozen=True, slots=True)
class FailedQuestion:
    """A question that cannot be asked."""

    question: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """The number of answers, and the questions that cannot be asked."""

    answered: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """"QUESTION_HASH/SAMPLE" to reason."""


async def ask_all(
    questions: Sequence[Question],
    key: str,
    *,
    concurrency: int,
    sample: int = 0,
    on_result: Callable[[int, Answer | FailedQuestion], None],
) -> None:
    """Asks all questions, at most `concurrency` at a time, with the resources
    registered as `key`. Calls `on_result(index, result)` after each one.

    Two errors belong to a question, and the others go on: ContextLengthError (it is too
    long for the model, or for a server with less context than it reported) and
    ValueError (it is empty). Every other error ends the batch: a failed engine or disk
    would fail for all questions.

    Raises:
        EngineError, StorageError: an engine or the sink failed. Earlier answers have
            reached the sink and `on_result`.
        LongthoughtError: another error that does not belong to a question.
    """
    waiting = iter(enumerate(questions))

    async def worker() -> None:
        for index, question in waiting:
            result: Answer | FailedQuestion
            try:
                result = await think(question, key, sample=sample)
            except (ContextLengthError, ValueError) as error:
                result = FailedQuestion(question.text, str(error))
            on_result(index, result)

    with patient_collector():
        workers = [asyncio.create_task(worker()) for _ in range(min(concurrency, len(questions)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def run_questions(
    questions: Sequence[Question],
    key: str,
    *,
    concurrency: int,
    sample: int = 0,
    on_answer: Callable[[Answer], None] | None = None,
) -> Outcome:
    """Asks all questions and returns the counts; see `ask_all`. `on_answer` is called
    with each answer.
    """
    outcome = Outcome()

    def count(index: int, result: Answer | FailedQuestion) -> None:
        if isinstance(result, FailedQuestion):
            outcome.failed[f"{questions[index].hash}/{sample}"] = result.reason
            return
        outcome.answered += 1
        if on_answer is not None:
            on_answer(result)

    await ask_all(questions, key, concurrency=concurrency, sample=sample, on_result=count)
    return outcome
