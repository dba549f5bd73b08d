"""What the benchmarks run: questions of the pocket's families, a search over an engine,
and the same search without LangGraph.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import uuid4

from langgraph.runtime import Runtime
from langgraph.types import Command

from agents.engines.base import Generator
from agents.engines.build import open_engine
from agents.engines.scripted.engine import ScriptedEngine
from agents.engines.tokenizer import HFTokenizer
from agents.types import Question
from configs import RunConfig, compose
from configs.schema.engine import resolve_model
from graphs.reasoner import nodes
from graphs.reasoner.batch import run_questions
from graphs.reasoner.gc_tuning import patient_collector
from graphs.reasoner.graph import Answer
from graphs.reasoner.resources import Resources, build_resources, forget, register
from graphs.reasoner.state import Context, Phase, State
from graphs.tasks import PocketTask
from tests.bench.recording import Recorder, Recording
from tests.scripted_pocket import Pocket

NO_CAPS = ("budget.max_tokens=null", "budget.max_calls=null", "budget.max_nodes=null")
NOT_TOLD = ("run.show_progress=false",)
STEPPED = (
    "search=beam",
    "search.num_samples=16",
    "search.beam_width=4",
    "reflector=none",
    *NO_CAPS,
)
"""Beam search of the papers' size, with the pocket's critic: every step is judged,
nothing is skipped."""


def questions(
    count: int, *, families: tuple[str, ...] = (), levels: tuple[int, ...] = (), seed: int = 0
) -> list[Question]:
    """Returns questions of the test split, different from each other."""
    return list(
        PocketTask(size=count, seed=seed, families=families, levels=levels).load().questions
    )


@contextmanager
def opened(config: RunConfig, engine: Generator) -> Iterator[tuple[str, Resources]]:
    """Registers the resources of `config` over an engine that is open already; yields
    their key, and them.
    """
    resources = build_resources(config, {"policy": engine})
    key = uuid4().hex
    register(key, resources)
    try:
        yield key, resources
    finally:
        forget(key)


async def ask(asked: Sequence[Question], key: str, *, concurrency: int) -> list[Answer]:
    """Asks all questions through the graph, as `python -m graphs.run` does, and returns
    the answers in the order of their coming.

    Raises:
        RuntimeError: a question could not be asked.
    """
    answers: list[Answer] = []
    outcome = await run_questions(asked, key, concurrency=concurrency, on_answer=answers.append)
    if outcome.failed:
        raise RuntimeError(
            f"{len(outcome.failed)} of {len(asked)} questions failed: "
            f"{next(iter(outcome.failed.values()))}"
        )
    return answers


async def walk(asked: Sequence[Question], key: str, *, concurrency: int) -> None:
    """Does what `ask` does without LangGraph: the same nodes, called one after
    another.
    """
    waiting = iter(asked)

    async def worker() -> None:
        for question in waiting:
            thought = Walk.begin(question, key)
            while thought.goes_on:
                await thought.step()

    with patient_collector():
        await asyncio.gather(*(worker() for _ in range(min(concurrency, len(asked)))))


@dataclass(slots=True)
class Walk:
    """One thought, moved from node to node by hand."""

    state: State
    runtime: Runtime[Context]
    node: str | None = "screen"

    @classmethod
    def begin(cls, question: Question, key: str) -> Walk:
        """Returns a thought that has not begun."""
        inputs: State = {
            "question": question.text,
            "gold": question.gold,
            "task": question.task,
            "metadata": question.metadata,
        }
        return cls(inputs, Runtime(context=Context(resources=key)))

    @property
    def goes_on(self) -> bool:
        """Whether a node is left."""
        return self.node is not None

    async def step(self) -> Command[Phase] | State:
        """Runs the node whose turn it is, and returns what it returned."""
        assert self.node is not None
        came: Command[Phase] | State = await getattr(nodes, self.node)(self.state, self.runtime)
        if isinstance(came, Command):
            self.state = cast(State, {**self.state, **cast(State, came.update or {})})
            self.node = cast(str, came.goto)
        else:
            self.node = None
        return came


def scripted_config(*overrides: str) -> RunConfig:
    """Returns a configuration with a scripted engine; the caller that builds resources
    provides the engine.
    """
    return compose(
        [
            "engine=scripted",
            "engine.function=tests.scripted_pocket:Pocket",
            *NOT_TOLD,
            *overrides,
        ]
    )


def served_config(*overrides: str, quick: bool) -> RunConfig:
    """Returns a configuration with vLLM as engine, or a scripted one where it must be
    quick.
    """
    return scripted_config(*overrides) if quick else compose([*NOT_TOLD, *overrides])


@asynccontextmanager
async def serving(config: RunConfig, *, quick: bool) -> AsyncIterator[tuple[Generator, str]]:
    """Opens the engine of `config`; yields it, and what to call it in a table."""
    if quick:
        yield scripted_pocket(), "a scripted engine, so no speed means anything"
        return
    engine = await open_engine(config.engine.kind, config.engine.keywords())
    assert isinstance(engine, Generator)
    try:
        yield engine, f"vLLM, {config.run.concurrency} questions in flight"
    finally:
        await engine.close()


async def record(config: RunConfig, asked: Sequence[Question]) -> Recording:
    """Runs the search once with the scripted pocket and returns what it asked for. The
    tokenizer is the pocket model's own, because what it costs is a part of what we
    measure.
    """
    engine = scripted_pocket()
    recorder = Recorder(engine)
    with opened(config, recorder) as (key, _):
        await ask(asked, key, concurrency=config.run.concurrency)
    await engine.close()
    recorder.recording.tokenizer = HFTokenizer(resolve_model("pocket"))
    return recorder.recording


class _PocketScript(Pocket):
    """The scripted pocket, taught to read the embedded model's chat template, and to
    end a sequence as it does.
    """

    @staticmethod
    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        return Pocket.reply(_respelled(prompt), sample_index, rng)

    @staticmethod
    def score(prompt: str, candidate: str) -> float:
        return Pocket.score(_respelled(prompt), candidate)


def _respelled(prompt: str) -> str:
    return (
        prompt.replace("<|user|> ", "<|user|>")
        .replace("<|policy|>", "<|end|><|assistant|>")
        .replace("<|eos|>", "<|end|>")
    )


class _CountedTokenizer(HFTokenizer):
    """What the scripted engine reads besides."""

    special_tokens = Pocket.special_tokens

    @property
    def vocabulary_size(self) -> int:
        return len(self._tokenizer)


def scripted_pocket() -> ScriptedEngine:
    """Returns the scripted pocket with the pocket model's tokenizer, folder and chat
    template.
    """
    engine = ScriptedEngine(function=cast(Any, _PocketScript))
    engine.tokenizer = cast(Any, _CountedTokenizer(resolve_model("pocket")))
    engine.info = replace(engine.info, model=resolve_model("pocket"))
    return engine
