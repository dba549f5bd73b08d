"""The reasoner for Python callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from agents.types import ContextLengthError, Question
from configs import ConfigError, compose
from configs.options import groups
from graphs import Answer, FailedQuestion, Reasoner
from graphs.reasoner import batch
from graphs.reasoner.reasoner import SearchName
from tests.scripted_pocket import SCRIPTED

QUESTIONS = [f"Use the numbers {n}, 7, 11 and 25 to make {n + 29}." for n in (2, 3, 5)]


async def test_async_with_and_aask_answer_inside_a_running_loop() -> None:
    phases: list[str] = []
    async with Reasoner(SCRIPTED) as reasoner:
        answer = await reasoner.aask(
            QUESTIONS[0], on_progress=lambda progress: phases.append(progress.phase)
        )
    assert answer.question == QUESTIONS[0] and answer.status in ("answered", "no_answer")
    assert phases[0] == "screen" and phases[-1] == "record"


async def test_the_loop_of_the_caller_runs_while_a_thought_runs() -> None:
    async with Reasoner(SCRIPTED) as reasoner:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        other = asyncio.create_task(count())
        await reasoner.aask(QUESTIONS[0])
        other.cancel()
    assert turns > 0


def test_ask_many_returns_results_in_the_order_of_the_questions() -> None:
    seen: list[tuple[int, int]] = []
    with Reasoner(SCRIPTED) as reasoner:
        answers = reasoner.ask_many(
            [*QUESTIONS, Question(text=QUESTIONS[0], gold="31")],
            on_progress=lambda done, of: seen.append((done, of)),
        )
    assert [answer.question for answer in answers] == [*QUESTIONS, QUESTIONS[0]]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_question_that_cannot_be_asked_loses_no_other() -> None:
    with Reasoner(SCRIPTED) as reasoner:
        first, empty, last = reasoner.ask_many([QUESTIONS[0], "", QUESTIONS[1]])
        assert reasoner.ask_many([]) == []
    assert isinstance(first, Answer) and isinstance(last, Answer)
    assert isinstance(empty, FailedQuestion) and empty.question == "" and empty.reason


def test_a_failed_engine_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> Answer:
        raise ConnectionError("gone")

    with Reasoner(SCRIPTED) as reasoner:
        monkeypatch.setattr(batch, "think", fail)
        with pytest.raises(ConnectionError):
            reasoner.ask_many(QUESTIONS)


def test_a_question_too_long_for_the_model_is_a_failed_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def too_long(*_: object, **__: object) -> Answer:
        raise ContextLengthError(prompt_tokens=9, max_tokens=1, context_length=4)

    with Reasoner(SCRIPTED) as reasoner:
        monkeypatch.setattr(batch, "think", too_long)
        (failed,) = reasoner.ask_many(["one"])
    assert isinstance(failed, FailedQuestion) and failed.question == "one" and "9" in failed.reason


async def test_cancelling_aask_many_leaves_the_engines_open() -> None:
    async with Reasoner(SCRIPTED) as reasoner:
        task = asyncio.create_task(reasoner.aask_many(QUESTIONS * 20))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await reasoner.aask(QUESTIONS[0])).question == QUESTIONS[0]


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda reasoner: reasoner.__enter__(), "async with"),
        (lambda reasoner: reasoner.ask("q"), "aask"),
        (lambda reasoner: reasoner.ask_many(["q"]), "aask_many"),
    ],
)
async def test_a_synchronous_call_in_a_running_loop_names_the_other(
    call: Callable[[Reasoner], Any], instead: str
) -> None:
    with pytest.raises(RuntimeError, match=instead):
        call(Reasoner(SCRIPTED))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"search": "beam", "budget": "low"}, ["search=beam", "budget=low"]),
        ({"effort": "medium", "seed": 3}, ["effort=medium", "run.seed=3"]),
        (
            {"experiment": "chat", "base_url": "http://localhost:8000/v1"},
            ["experiment=chat", "engine=openai", "engine.base_url=http://localhost:8000/v1"],
        ),
        (
            {"experiment": "chat", "model": "owner/a, [model] it's"},
            ["experiment=chat", 'engine.model="owner/a, [model] it\'s"'],
        ),
        (
            {"search": "greedy", "critic": "none", "max_tokens": 64},
            ["search=greedy", "critic=none", "budget.max_tokens=64"],
        ),
    ],
)
def test_keywords_equal_words(keywords: dict[str, Any], words: list[str]) -> None:
    assert Reasoner(**keywords).config == compose(words)


def test_keywords_are_refused_as_words_are() -> None:
    with pytest.raises(ConfigError, match="beam"):
        Reasoner(search="beem")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"budget\.max_tokens"):
        Reasoner(max_tokens=-1)
    with pytest.raises(TypeError, match="search=beam"):
        Reasoner(compose([]), search="beam")


def test_the_typed_names_are_those_of_the_registry() -> None:
    names = {choice.value for choice in groups()["search"]} - {"custom"}
    assert set(get_args(SearchName)) == names


def test_wrong_arguments_are_refused() -> None:
    with Reasoner(SCRIPTED) as reasoner:
        with pytest.raises(TypeError, match="list"):
            reasoner.ask_many("a question")
        with pytest.raises(TypeError, match="list"):
            reasoner.ask_many(Question(text="a question"))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="int"):
            reasoner.ask_many([3])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="concurrency"):
            reasoner.ask_many(QUESTIONS, concurrency=0)
    with pytest.raises(RuntimeError, match="not open"):
        reasoner.ask_many(QUESTIONS)


def test_an_open_reasoner_is_not_opened_again() -> None:
    with Reasoner(SCRIPTED) as reasoner:
        with pytest.raises(RuntimeError, match="another Reasoner"):
            reasoner.__enter__()
        assert reasoner.ask(QUESTIONS[0]).question == QUESTIONS[0]
