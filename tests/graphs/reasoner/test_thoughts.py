"""Thoughts between delimiters, through the whole graph."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from agents.engines.scripted.engine import ScriptedEngine
from agents.types import Question
from configs import compose
from graphs.reasoner.graph import Answer, think
from graphs.reasoner.resources import build_resources, forget, register
from graphs.thought.markup import render
from graphs.traces.trace import Trace

SPECIAL = ("<|system|>", "<|user|>", "<|assistant|>", "<think>", "</think>")


async def ask(reply: str, *overrides: str) -> tuple[Answer, Trace]:
    """Asks an open question of a model that begins to think and, once its thought is
    closed, answers.
    """

    def speak(prompt: str, index: int, rng: random.Random) -> str:
        written = prompt.rpartition("<|assistant|>")[2]
        if "</think>" in written:
            return "It is blue."[len(written.rpartition("</think>")[2].lstrip("\n")) :]
        return reply[len(written) :]

    config = compose(
        [
            "experiment=chat",
            "engine=scripted",
            "engine.function=tests.scripted_pocket:Pocket",
            "summarizer.kind=neutral",
            *overrides,
        ]
    )
    engine = ScriptedEngine.from_function(speak, special_tokens=SPECIAL)
    traces: list[Trace] = []
    register(key := uuid4().hex, build_resources(config, {"policy": engine}, sink=traces.append))
    try:
        return await think(Question(text="Why is the sky blue?"), key), traces[0]
    finally:
        forget(key)
        await engine.close()


ENDLESS = "<think>" + "I wonder. " * 3000


@pytest.mark.parametrize("search", ["greedy", "beam"])
async def test_a_thought_that_never_ends_is_closed_and_answered(search: str) -> None:
    options = ("budget.thinking_tokens=40", f"search={search}", "critic=random", "reflector=none")
    answer, trace = await ask(ENDLESS, *options)
    assert (answer.status, answer.answer) == ("answered", "It is blue.")
    assert "wonder" not in f"{answer.summary}" and "wonder" in render(trace.long_thought).reveal()


async def test_without_a_budget_it_is_a_counted_outcome() -> None:
    answer, _ = await ask(ENDLESS, "budget.thinking_tokens=null", "policy.max_answer_tokens=200")
    assert (answer.status, answer.reason, answer.answer) == ("no_answer", "cut_answer", None)


async def test_an_empty_completion_is_a_counted_outcome() -> None:
    answer, _ = await ask("")
    assert (answer.status, answer.reason) == ("no_answer", "ended")
