"""Traces to store: random ones, and one of an ordinary size."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hypothesis import strategies as st

from agents.engines.base import EngineInfo
from agents.types import Question, Usage
from graphs.thought.derive import derive_journey
from graphs.traces.trace import SafetyRecord, Trace
from graphs.tree import Event, Expanded, Judged, ReasoningTree
from tests.graphs.tree.logs import QUESTION, event_logs, finished, make_step, verdict

ENGINE = EngineInfo(
    "scripted", "pocket", "0123456789abcdef", "fedcba9876543210", 512, parameters=5_000_000
)


def make_trace(
    events: Sequence[Event],
    *,
    question: Question = QUESTION,
    sample: int = 0,
    run: str = "first",
    config_hash: str = "c0ffee",
) -> Trace:
    """Returns the trace of a question whose search gave `events`, the last of them
    `Finished`.
    """
    tree = ReasoningTree.replay(question, events)
    end = tree.finished
    assert end is not None
    return Trace(
        run=run,
        sample=sample,
        thought_id=f"{question.hash}-{sample}",
        question=question,
        policy_prompt=(1, 5, 9),
        events=tuple(events),
        long_thought=derive_journey(tree, end.leaf, rng=random.Random(0), wrong_trials=2),
        status=end.status,
        answer=end.answer,
        summary="It tried some numbers.",
        correct=None if end.answer is None else end.answer == question.gold,
        safety=(SafetyRecord("comply", None, "before_thinking"),),
        usage={"policy": Usage(30, 20, 12, 3), "critic": Usage(40, 35, 6, 2)},
        seconds=0.1 + 0.2,
        config_hash=config_hash,
        engine=ENGINE,
        seed=17,
        versions={"longthought": "0.1.0"},
    )


def traces() -> st.SearchStrategy[Trace]:
    """Returns a strategy of traces."""
    return event_logs().map(lambda events: make_trace(finished(events)))


def ordinary_trace(index: int = 0, *, num_nodes: int = 20, num_tokens: int = 24) -> Trace:
    """Returns a trace of `num_nodes` judged steps of `num_tokens` tokens each,
    different for each `index`.
    """
    rng = random.Random(index)
    events: list[Event] = []
    for node in range(num_nodes):
        logprobs = [math.nan, *(math.log(rng.random()) for _ in range(num_tokens - 1))]
        answer = str(index) if node == num_nodes - 1 else None
        step = make_step(
            f"step {node}: {rng.random()} and so on and on",
            answer=answer,
            logprobs=logprobs,
            forced=1,
            factor="compute",
        )
        events.append(Expanded(max(0, node - node % 3), ((step,),)))
        events.append(
            Judged(
                node + 1,
                verdict(
                    rng.gauss(1, 2), reason=f"{rng.random()} : that is so" if node % 2 else None
                ),
            )
        )
    question = Question(text=f"What is {index} + 0?", gold=str(index), task="user")
    return make_trace(finished(events), question=question)
