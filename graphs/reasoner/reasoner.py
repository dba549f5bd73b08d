"""The Python API, synchronous and asynchronous.

    with Reasoner(search="beam", budget="low") as reasoner:
        answer = reasoner.ask("Use the numbers 2, 5, 9 and 14 to make 37.")

    async with Reasoner(experiment="chat", model="FOLDER_OR_HUB_ID") as reasoner:
        answers = await reasoner.aask_many(["Why is the sky blue?", "What is 17 * 23?"])
        chat = reasoner.conversation()
        await chat.aask("Why is the sky blue?")
        answer = await chat.aask("And at sunset?")

Engines and graph run in one daemon thread of the process (agents/engines/loop.py), so
an event loop of the caller is never blocked by the asynchronous methods.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import uuid4

from agents.engines import loop
from agents.types import Question, Turn
from configs import RunConfig, compose
from graphs.reasoner.batch import FailedQuestion, ask_all
from graphs.reasoner.conversation.conversation import Conversation
from graphs.reasoner.graph import Answer, Progress, think
from graphs.reasoner.resources import Resources, Sink, forget, register, start_resources

T = TypeVar("T")
Level = Literal["low", "medium", "high"]
Effort = Literal["auto", "low", "medium", "high"]
SearchName = Literal[
    "greedy",
    "best_of_n",
    "self_consistency",
    "sequential_revision",
    "critique_loop",
    "beam",
    "dvts",
    "rebase",
    "particles",
    "mcts",
    "posterior",
    "compute_optimal",
    "auto",
]


class Reasoner:
    """Engines and graph, shared by all questions. `with` or `async with` opens and
    closes them.

    The synchronous methods raise RuntimeError inside a running event loop, since they
    would block it.
    """

    def __init__(
        self,
        config: RunConfig | Sequence[str] = (),
        *,
        experiment: str | None = None,
        effort: Effort | None = None,
        search: SearchName | None = None,
        budget: Level | None = None,
        critic: str | None = None,
        model: str | None = None,
        base_url: str | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
        sink: Sink | None = None,
        run: str = "adhoc",
    ) -> None:
        """Composes the configuration; nothing is loaded before `with`.

        Args:
            config: override words, as on the command line, or a whole configuration.
            experiment, effort, search, budget, critic: the word `NAME=value`.
            model: engine.model, a folder or hub id.
            base_url: engine=openai with engine.base_url.
            max_tokens: budget.max_tokens, generated tokens of all roles.
            seed: run.seed.
            sink: is called with the trace of every thought.
            run: name of the run in traces.

        Raises:
            TypeError: `config` is one text, or a whole configuration beside keywords.
            ConfigError: the configuration is invalid.
        """
        words = {
            "experiment": experiment,
            "effort": effort,
            "search": search,
            "budget": budget,
            "critic": critic,
            "engine": None if base_url is None else "openai",
            "engine.model": model,
            "engine.base_url": base_url,
            "budget.max_tokens": max_tokens,
            "run.seed": seed,
        }
        given = [f"{key}={_word(value)}" for key, value in words.items() if value is not None]
        if isinstance(config, str):
            raise TypeError(
                f"config ({config!r}) must be a list of options; write Reasoner([{config!r}])"
            )
        if isinstance(config, RunConfig) and given:
            raise TypeError(
                f"{given[0]} cannot be combined with a whole RunConfig; set it in the RunConfig, "
                "or pass a list of options"
            )
        self.config = config if isinstance(config, RunConfig) else compose([*config, *given])
        self.key = uuid4().hex
        self._sink = sink
        self._run = run
        self._resources: Resources | None = None

    def __enter__(self) -> Self:
        _refuse_running_loop("async with Reasoner(...) as reasoner:")
        loop.run(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop.run(self._close())

    async def __aenter__(self) -> Self:
        await _on_own_loop(self._open())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _on_own_loop(self._close())

    def ask(
        self,
        question: str | Question,
        *,
        history: Sequence[Turn | Mapping[str, str]] = (),
        sample: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Answer:
        """Thinks about one question and returns the answer. Ctrl-C cancels the thought
        and leaves the engines open.

        `history` holds the turns before the question, as Turns or in the form {"role",
        "content"}; `conversation` keeps them by itself.

        `on_progress` is called after every phase, in the thread of the engines.

        Raises:
            TypeError: the question is neither text nor a Question, or a turn is none.
            RuntimeError: the reasoner is not open, or an event loop is running.
            ValueError, EngineError: see `think`.
        """
        _refuse_running_loop("await reasoner.aask(question)")
        asked = _after(history, self._questions([question])[0])
        return loop.run(think(asked, self.key, sample=sample, on_progress=on_progress))

    async def aask(
        self,
        question: str | Question,
        *,
        history: Sequence[Turn | Mapping[str, str]] = (),
        sample: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Answer:
        """`ask` for an event loop. Cancelling it cancels the thought."""
        asked = _after(history, self._questions([question])[0])
        return await _on_own_loop(think(asked, self.key, sample=sample, on_progress=on_progress))

    def conversation(self) -> Conversation:
        """Returns a new conversation, whose questions follow each other."""
        return Conversation(self)

    def ask_many(
        self,
        questions: Iterable[str | Question],
        *,
        concurrency: int | None = None,
        sample: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Answer | FailedQuestion]:
        """Thinks about many questions at once and returns the results in their order.

        A question that cannot be asked (empty, or too long for the model) is a
        `FailedQuestion` with its reason; the others are answered. A failed engine ends
        the call.

        Args:
            questions: texts, or Questions with golds.
            concurrency: questions in flight; None: run.concurrency.
            sample: number of the sample, which seeds the thoughts.
            on_progress: is called with the number of finished questions and of all, in
                the thread of the engines.

        Raises:
            TypeError: a question is neither text nor a Question.
            RuntimeError: the reasoner is not open, or an event loop is running.
            EngineError: see `think`.
        """
        _refuse_running_loop("await reasoner.aask_many(questions)")
        asked = self._questions(questions)
        return loop.run(self._ask_all(asked, concurrency, sample, on_progress))

    async def aask_many(
        self,
        questions: Iterable[str | Question],
        *,
        concurrency: int | None = None,
        sample: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Answer | FailedQuestion]:
        """`ask_many` for an event loop. Cancelling it cancels all its thoughts."""
        asked = self._questions(questions)
        return await _on_own_loop(self._ask_all(asked, concurrency, sample, on_progress))

    async def _open(self) -> None:
        if self._resources is not None:
            raise RuntimeError("the reasoner is open; make another Reasoner for another `with`")
        self._resources = await start_resources(self.config, sink=self._sink, run=self._run)
        register(self.key, self._resources)

    async def _close(self) -> None:
        forget(self.key)
        if (opened := self._resources) is not None:
            self._resources = None
            await opened.close()

    def _questions(self, questions: Iterable[str | Question]) -> list[Question]:
        """Returns the questions as `Question`s; see `ask_many` for what it raises."""
        if isinstance(questions, str | Question):
            raise TypeError(f"questions ({questions!r}) must be a list; write [{questions!r}]")
        asked = []
        for question in questions:
            if not isinstance(question, str | Question):
                raise TypeError(
                    f"question ({type(question).__name__}) must be a text or a Question; pass the "
                    "words, or agents.types.Question(text=...)"
                )
            asked.append(Question(text=question) if isinstance(question, str) else question)
        if self._resources is None:
            raise RuntimeError(
                "the reasoner is not open; ask inside of `with Reasoner(...) as reasoner:`, or "
                "`async with` in an event loop"
            )
        return asked

    async def _ask_all(
        self,
        questions: Sequence[Question],
        concurrency: int | None,
        sample: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> list[Answer | FailedQuestion]:
        results: dict[int, Answer | FailedQuestion] = {}

        def keep(index: int, result: Answer | FailedQuestion) -> None:
            results[index] = result
            if on_progress is not None:
                on_progress(len(results), len(questions))

        in_flight = self.config.run.concurrency if concurrency is None else concurrency
        if in_flight < 1:
            raise ValueError(f"concurrency ({in_flight}) must be at least 1")
        await ask_all(questions, self.key, concurrency=in_flight, sample=sample, on_result=keep)
        return [results[index] for index in range(len(questions))]


def _after(history: Sequence[Turn | Mapping[str, str]], question: Question) -> Question:
    """Returns the question with the turns before it."""
    turns = []
    for turn in history:
        if isinstance(turn, Mapping) and turn.keys() == {"role", "content"}:
            turn = Turn.model_validate({"role": turn["role"], "text": turn["content"]})
        if not isinstance(turn, Turn):
            raise TypeError(
                f"history holds a {type(turn).__name__}; give agents.types.Turn, or "
                '{"role": "user", "content": "..."}'
            )
        turns.append(turn)
    return question.model_copy(update={"history": tuple(turns)}) if turns else question


def _word(value: str | int) -> str:
    """Returns a value as Hydra's grammar reads it back."""
    plain = isinstance(value, int) or value.replace("_", "").isalnum()
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def _refuse_running_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "an event loop is running here (as in Jupyter) and this call would block it; use "
        f"`{instead}`"
    )


async def _on_own_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the engines' loop. Cancelling the caller cancels it."""
    return await asyncio.wrap_future(loop.submit(coroutine))
