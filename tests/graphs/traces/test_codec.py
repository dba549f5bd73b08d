"""The codec: what goes in comes out, and what is damaged is refused with its place."""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.safety.visible_text import visible_text
from agents.types import BadTraceError, Hidden, Question, Reflection, Verdict
from graphs.traces.codec import AuditCodec
from graphs.traces.trace import SCHEMA_VERSION, Trace
from graphs.tree import (
    Backup,
    Expanded,
    Failed,
    Finished,
    Judged,
    PriorsComputed,
    ReasoningTree,
    Reflected,
)
from tests.graphs.traces.samples import make_trace, ordinary_trace, traces
from tests.graphs.tree.logs import QUESTION, make_step

CODEC = AuditCodec()

EVERY_EVENT = make_trace(
    [
        Expanded(
            0,
            ((make_step("a", logprobs=(math.nan, -0.1), forced=1), make_step("b", answer="21")),),
            "answer",
        ),
        Expanded(0, ((make_step("c", finish_reason="length"),), ()), mistakes=(1,)),
        Failed(3, "context_length"),
        Judged(1, Verdict(0.25, "monte_carlo", "value", log_likelihood_ratio=-1.1, count=8)),
        Judged(2, Verdict(math.nan, "token_critic", outcome="unparsed")),
        PriorsComputed(0, {"propose": 0.75, "correct": 0.25}),
        Reflected(1, Reflection("backtrack", Hidden("no"), 1, 0, parsed=False)),
        Backup(2, 0.5),
        Finished("answered", 2, "21"),
    ]
)


@given(traces())
def test_a_trace_comes_back_equal(trace: Trace) -> None:
    assert CODEC.decode(CODEC.encode(trace)) == trace
    assert CODEC.loads(CODEC.dumps(trace)) == trace


def test_every_kind_of_event_comes_back_equal() -> None:
    assert CODEC.loads(CODEC.dumps(EVERY_EVENT)) == EVERY_EVENT


def test_traces_from_before_adapters_are_read() -> None:
    stored = CODEC.encode(ordinary_trace())
    del stored["engine"]["adapters"]
    for event in stored["events"]:
        for chain in event.get("chains", ()):
            for step in chain:
                del step["author"]["adapter"]
    assert CODEC.decode(stored) == ordinary_trace()


def test_traces_of_version_0_1_are_read_under_todays_names() -> None:
    stored = CODEC.encode(EVERY_EVENT)
    for event in stored["events"]:
        if event["type"] == "PriorsComputed":
            event["type"] = "Weighed"
    assert "PriorsComputed" not in str(stored)
    assert CODEC.decode(stored) == EVERY_EVENT


def test_a_decoded_trace_replays_to_the_same_tree() -> None:
    trace = ordinary_trace()
    first, second = (
        ReasoningTree.replay(t.question, t.events) for t in (trace, CODEC.loads(CODEC.dumps(trace)))
    )
    np.testing.assert_array_equal(first.logprob, second.logprob)
    np.testing.assert_array_equal(first.log_likelihood_ratio, second.log_likelihood_ratio)


@given(st.floats() | st.just(math.nan), st.text(st.characters()), st.integers())
@example(math.nan, "\ud800", 0)
@example(math.nan, "\u200b", 0)  # no answer, since a user sees nothing of it
def test_floats_and_texts_are_exact(number: float, text: str, token: int) -> None:
    step = make_step(text, logprobs=(number,), answer=text)
    step = dataclasses.replace(
        step, content=Hidden(dataclasses.replace(step.content.reveal(), token_ids=(token,)))
    )
    finished = Finished("answered", 1, text) if visible_text(text) else Finished("no_answer")
    trace = make_trace([Expanded(0, ((step,),)), finished])
    back = CODEC.loads(CODEC.dumps(trace)).events[0]
    assert isinstance(back, Expanded)
    content = back.chains[0][0].content.reveal()
    assert content.text == text and content.token_ids == (token,)
    assert repr(content.logprobs) == repr((number,))


def test_encoding_twice_gives_the_same_bytes() -> None:
    blob = CODEC.dumps(EVERY_EVENT)
    assert CODEC.dumps(CODEC.loads(blob)) == blob


def test_numbers_of_numpy_are_stored_as_numbers() -> None:
    events = [
        *EVERY_EVENT.events[:-1],
        Backup(np.int64(1), np.float64(0.5)),  # type: ignore[arg-type]
        Finished("answered", np.int32(2), "21"),  # type: ignore[arg-type]
    ]
    trace = dataclasses.replace(EVERY_EVENT, events=tuple(events), correct=np.bool_(True))  # type: ignore[arg-type]
    back = CODEC.loads(CODEC.dumps(trace))
    assert back == trace and type(back.correct) is bool


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1.5},
        {"summary": None},
        {"summary": Hidden("secret")},
        {"status": 3},
        {"status": "secret"},
        {"engine": QUESTION},
        {"question": Question(text="x", metadata={"thought": Hidden("secret")})},
    ],
)
def test_a_value_of_a_wrong_type_is_refused_when_it_is_written(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        CODEC.dumps(dataclasses.replace(EVERY_EVENT, **change))
    assert "secret" not in str(caught.value)


def damaged(*way: str | int, value: object) -> dict[str, Any]:
    """Returns the encoded sample with `value` at `way`; `...` removes the entry."""
    data: Any = json.loads(json.dumps(CODEC.encode(EVERY_EVENT)))
    at = data
    for key in way[:-1]:
        at = at[key]
    if value is ...:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return data  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (damaged("seed", value="secret"), "damaged at seed: str where int belongs"),
        (
            damaged("events", 3, "node", value=True),
            "damaged at events[3].node: bool where int belongs",
        ),
        (
            damaged("events", 3, "type", value="Imagined"),
            'damaged at events[3]: no "type" that is one of Expanded, Failed, Judged',
        ),
        (
            damaged("events", 0, "chains", 0, 1, "content", "logprobs", 0, value="secret"),
            "content.logprobs[0]: str where float belongs",
        ),
        (
            damaged("events", 3, "verdict", "source", value="secret"),
            "damaged at events[3].verdict.source: none of token_critic",
        ),
        (
            damaged("events", 3, "verdict", "score", value=math.nan),
            "damaged at events[3].verdict: a verdict of",
        ),
        (
            damaged("usage", "policy", value=[]),
            "damaged at usage.policy: list where an object belongs",
        ),
        (damaged("question", "text", value=...), "damaged at question: text: Field required"),
        (
            damaged("summary", value=...),
            "damaged at the top level: a Trace without ['summary'] and with unknown []",
        ),
        (
            damaged("long_thought", "mood", value="secret"),
            "at long_thought: a LongThought without [] and with unknown ['mood']",
        ),
        (damaged("safety", value={}), "damaged at safety: dict where a list belongs"),
        (
            damaged("schema_version", value=SCHEMA_VERSION + 1),
            f"schema version {SCHEMA_VERSION + 1}, this version of longthought reads",
        ),
        (damaged("schema_version", value=...), "schema version None"),
    ],
)
def test_damage_is_refused_with_its_place(data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadTraceError) as caught:
        CODEC.decode(data)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_trace_of_before_a_field_was_added_is_read_with_its_default() -> None:
    kept = dataclasses.replace(EVERY_EVENT, check="timed_out", correct=None)
    assert CODEC.loads(CODEC.dumps(kept)) == kept
    older = json.dumps(damaged("check", value=...)).encode()
    assert CODEC.loads(zlib.compress(older)) == EVERY_EVENT


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"secret",
        zlib.compress(b"{secret"),
        CODEC.dumps(EVERY_EVENT)[:-9],
        zlib.compress(b"[1]"),
    ],
)
def test_bytes_that_are_no_trace_are_refused(blob: bytes) -> None:
    with pytest.raises(BadTraceError) as caught:
        CODEC.loads(blob)
    assert "secret" not in str(caught.value)


def places(data: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the way to every value inside JSON values."""
    for key, entry in (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    ):
        yield (*way, key)
        yield from places(entry, (*way, key))


@pytest.mark.parametrize(
    "value", [None, True, -1, 10**400, "x", [], {}, {"type": []}, "\ud800"], ids=repr
)
def test_any_value_in_any_place_is_read_or_refused_as_damage(value: object) -> None:
    refused = 0
    for way in places(CODEC.encode(EVERY_EVENT)):
        data = damaged(*way, value=value)
        try:
            CODEC.decode(data)
        except BadTraceError:
            refused += 1
    assert refused > 50


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(BadTraceError):
        CODEC.loads(zlib.compress(b"[" * 100_000))
