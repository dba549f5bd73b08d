"""Random event logs: what the property tests of trees, thoughts and traces are run on.

A log is drawn as a list of small numbers and interpreted against the tree that it has
made so far, so that every log is legal and hypothesis can shrink it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import get_args

from hypothesis import strategies as st

from agents.types import (
    Author,
    Content,
    FinishReason,
    Hidden,
    Question,
    Reflection,
    ReflectionAction,
    Sampling,
    Step,
    Verdict,
)
from graphs.tree import (
    Backup,
    Event,
    Expanded,
    Failed,
    Finished,
    Judged,
    PriorsComputed,
    ReasoningTree,
    Reflected,
)

QUESTION = Question(
    text="Use 3, 7 and 11 to make 21.", gold="21", task="pocket", metadata={"level": 2}
)
AUTHOR = Author(role="policy", model="scripted", version=1)


def make_step(
    text: str,
    *,
    answer: str | None = None,
    logprobs: Sequence[float] = (-0.5,),
    forced: int = 0,
    finish_reason: FinishReason = "stop",
    factor: str | None = None,
    temperature: float = 0.8,
) -> Step:
    """Returns a step with one made-up token id per logprob; equal texts have equal
    ids.
    """
    first = zlib.crc32(text.encode("utf-8", "surrogatepass")) % 50_000
    content = Content(
        text=text,
        token_ids=tuple(range(first, first + len(logprobs))),
        logprobs=tuple(logprobs),
        forced=forced,
    )
    return Step(
        Hidden(content),
        finish_reason,
        AUTHOR,
        Sampling(temperature=temperature, seed=7),
        factor=factor,
        answer=answer,
    )


def verdict(log_likelihood_ratio: float, *, reason: str | None = None) -> Verdict:
    """Returns a critic's verdict: right above 0, wrong up to 0."""
    score = 1.0 / (1.0 + math.exp(-log_likelihood_ratio))
    return Verdict(
        score,
        "working_critic",
        log_likelihood_ratio=log_likelihood_ratio,
        reason=None if reason is None else Hidden(reason),
    )


UNPARSED = Verdict(math.nan, "token_critic", outcome="unparsed", reason=Hidden("mumble"))

_OPERATIONS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 40), st.integers(0, 7), st.integers(0, 7)),
    max_size=30,
)


def _step_of(number: int, kind: int) -> Step:
    text = f"step {number}" if kind != 6 else "the same words"
    logprobs = (math.nan, -0.25 * kind, -1.0) if kind % 2 else (-0.1 * kind,)
    answer = {0: "21", 1: "20", 2: ""}.get(kind) if number % 3 == 0 else None
    return make_step(
        text,
        answer=answer,
        logprobs=logprobs,
        forced=kind % 2,
        finish_reason="length" if kind == 5 and answer is None else "stop",
        factor="propose" if kind == 3 else None,
        temperature=0.0 if kind == 4 else 0.8,
    )


def _interpret(operations: Sequence[tuple[int, int, int, int]]) -> list[Event]:
    events: list[Event] = []
    tree = ReasoningTree(QUESTION)
    for operation, a, b, c in operations:
        tree.apply(events[tree.version :])
        size = len(tree)
        node = a % size
        if operation <= 4:
            chains = [
                tuple(
                    _step_of(size + i + (b + c) % 2 * chain, (b + c + chain + i) % 8)
                    for i in range(1 + c % 3)
                )
                for chain in range(1 + b % 3)
            ]
            events.append(Expanded(node, tuple(chains), "answer" if c % 3 else "step"))
        elif operation <= 6:
            evidence = (b - 3) * 0.75  # exact in binary, so that sums are
            events.append(
                Judged(
                    node,
                    UNPARSED
                    if c == 7
                    else verdict(evidence, reason=f"reason {node} {b}" if c < 3 else None),
                )
            )
        elif operation == 7 and node:
            action = get_args(ReflectionAction)[b % 4]
            text = Hidden(f"thoughts on {node}" if c % 2 else "")
            events.append(
                Reflected(
                    node,
                    Reflection(
                        action, text, wrong_step=c % 3 + 1, target_step=None if c == 0 else c - 1
                    ),
                )
            )
        elif operation == 8:
            events.append(Backup(node, b / 7))
        elif operation == 9 and c == 7:
            events.append(Failed(node, "context_length"))
        elif operation == 9 and c < 3:
            events.append(PriorsComputed(node, {"propose": b / 8, "correct": 1 - b / 8}))
    return events


def event_logs() -> st.SearchStrategy[list[Event]]:
    """Returns a strategy of legal logs without `Finished`."""
    return _OPERATIONS.map(_interpret)


def trees() -> st.SearchStrategy[ReasoningTree]:
    """Returns a strategy of trees."""
    return event_logs().map(lambda events: ReasoningTree.replay(QUESTION, events))


def finished(events: Sequence[Event]) -> list[Event]:
    """Returns the log with the end that a search would give it: the last answer, or
    none.
    """
    tree = ReasoningTree.replay(QUESTION, events)
    leaves = tree.answer_leaves()
    return [
        *events,
        Finished("answered", leaves[-1], tree.step(leaves[-1]).answer)
        if leaves
        else Finished("no_answer"),
    ]
