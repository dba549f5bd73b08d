"""Many questions at once, without a barrier between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.types import ContextLengthError, Question
from graphs.reasoner.gc_tuning import patient_collector
from graphs.reasoner.graph import Answer, think


@dataclass(slots=True)
class Outcome:
    """What came of asking: how many answers, and why some questions could not be
    asked.
    """

    answered: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """"QUESTION_HASH/SAMPLE" to reason."""


async def run_questions(
    questions: Sequence[Question],
    key: str,
    *,
    concurrency: int,
    sample: int = 0,
    on_answer: Callable[[Answer], None] | None = None,
) -> Outcome:
    """Asks all questions, at most `concurrency` at a time, with the resources
    registered as `key`; there is no barrier between questions.

    A question that cannot be asked is counted with its reason, and the others go on:
    ContextLengthError (it is too long for the model, or for the server, which may hold
    less than it reported) and ValueError (it is empty, say). Everything else ends the
    run: an engine or a disk that fails would fail for the others as well, and a run
    that has ended can be resumed.

    Raises:
        EngineError, StorageError: an engine or the sink failed; every answer until then
            has reached the sink.
        LongthoughtError: something else that no question is to blame for.
    """
    outcome = Outcome()
    waiting = iter(questions)

    async def worker() -> None:
        for question in waiting:
            try:
                answer = await think(question, key, sample=sample)
            except (ContextLengthError, ValueError) as error:
                outcome.failed[f"{question.hash}/{sample}"] = str(error)
                continue
            outcome.answered += 1
            if on_answer is not None:
                on_answer(answer)

    with patient_collector():
        workers = [asyncio.create_task(worker()) for _ in range(min(concurrency, len(questions)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return outcome
