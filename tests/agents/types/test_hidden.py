"""Hidden values: whatever is done to them without asking, the word inside does not come
out.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import io
import json
import logging
import math
import pickle
import pprint
import string
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agents.engines.base import Completion, GenerateRequest, Generation
from agents.prompts import Mistake
from agents.roles.policy import Proposal
from agents.types import Author, Content, Hidden, Reflection, Sampling, Step, Usage, Verdict
from graphs.thought.long_thought import LongThought, Segment
from graphs.tree import Expanded, Judged, Reflected

REPOSITORY = Path(__file__).parents[3]
CANARY = "canary-5f3a"

STEP = Step(
    Hidden(Content(CANARY, (1,), (-0.5,))), "stop", Author("policy", "scripted"), Sampling()
)
COMPLETION = Completion(CANARY, (1, 2), (-0.5, -0.5), "stop")
VERDICT = Verdict(0.1, "working_critic", log_likelihood_ratio=-1.0, reason=Hidden(CANARY))
CARRIERS: dict[str, Any] = {
    "hidden": Hidden(CANARY),
    "hidden content": STEP.content,
    "step": STEP,
    "verdict": VERDICT,
    "reflection": Reflection("reflect", Hidden(CANARY)),
    "segment": Segment("step", 1, Hidden(CANARY)),
    "long thought": LongThought((Segment("step", 1, Hidden(CANARY)),), "journey"),
    "expanded": Expanded(0, ((STEP,),)),
    "judged": Judged(1, VERDICT),
    "reflected": Reflected(1, Reflection("reflect", Hidden(CANARY))),
    "completion": COMPLETION,
    "generation": Generation((COMPLETION,), Usage()),
    "proposal": Proposal(((STEP,),)),
    "mistake": Mistake(STEP, "a reason"),
    "a list of steps": [STEP],
    "a dict": {"thought": Hidden(CANARY)},
    "hidden in hidden": Hidden(Hidden(CANARY)),
}


@pytest.fixture(params=CARRIERS, ids=str)
def carrier(request: pytest.FixtureRequest) -> Any:
    return CARRIERS[request.param]


def logged(write: Callable[[logging.Logger], None]) -> str:
    """Returns what a logger writes, tracebacks included."""
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    write(logger)
    return stream.getvalue()


def raised(fail: Callable[[], object]) -> str:
    """Returns the whole report of an exception, the local variables of every frame
    included.
    """
    try:
        fail()
    except Exception as error:
        return "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    raise AssertionError("nothing was raised")


def test_no_way_of_making_a_string_shows_it(carrier: Any) -> None:
    shown = [
        repr(carrier),
        str(carrier),
        f"{carrier}",
        f"{carrier!r:>40}",
        f"{carrier!s}",
        "{}".format(carrier),  # noqa: UP032
        "%s %r" % (carrier, carrier),  # noqa: UP031
        string.Template("$x").substitute(x=carrier),
        pprint.pformat(carrier, width=10),
        ascii(carrier),
    ]
    assert all(CANARY not in text and "<hidden>" in text for text in shown)


@pytest.mark.parametrize("spec", ["", ">20", "^3", "s"])
def test_a_format_specification_formats_the_placeholder(spec: str) -> None:
    assert format(Hidden(CANARY), spec) == format("<hidden>", spec)


def test_logging_shows_nothing(carrier: Any) -> None:
    assert CANARY not in logged(lambda logger: logger.warning("thought %s %r", carrier, carrier))

    def fail(logger: logging.Logger) -> None:
        try:
            raise RuntimeError("broke", carrier)
        except RuntimeError:
            logger.exception("while thinking about %s", carrier)

    assert CANARY not in logged(fail) and "RuntimeError" in logged(fail)


def test_a_traceback_with_local_variables_shows_nothing(carrier: Any) -> None:
    def fail() -> None:
        thought = carrier
        raise ValueError(thought, f"{thought}")

    assert CANARY not in raised(fail)
    assert CANARY not in raised(lambda: dict[object, object]()[Hidden(CANARY)])


@pytest.mark.parametrize(
    "misuse",
    [
        lambda h: h + "x",
        lambda h: "x" + h,
        len,
        list,
        int,
        float,
        bytes,
        lambda h: h[0],
        lambda h: "".join([h]),
        lambda h: "%d" % h,  # noqa: UP031
    ],
)
def test_using_it_as_a_string_is_an_error_that_shows_nothing(
    misuse: Callable[[Any], object],
) -> None:
    assert CANARY not in raised(lambda: misuse(Hidden(CANARY)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses(carrier: Any, protocol: int) -> None:
    with pytest.raises(TypeError, match="AuditCodec"):
        pickle.dumps(carrier, protocol)


def test_json_refuses(carrier: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(carrier)
    assert CANARY not in json.dumps(carrier, default=str)


def test_langgraphs_checkpoint_serializer_refuses(carrier: Any) -> None:
    with pytest.raises(TypeError):
        JsonPlusSerializer().dumps_typed({"state": carrier})


def test_a_copy_is_the_same_value_and_hidden(carrier: Any) -> None:
    for copied in (copy.copy(carrier), copy.deepcopy(carrier)):
        assert copied == carrier and CANARY not in repr(copied)
    if dataclasses.is_dataclass(carrier) and not isinstance(carrier, type):
        assert CANARY not in repr(dataclasses.asdict(carrier)) + repr(dataclasses.astuple(carrier))


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thought: Hidden[str]
    number: int


def test_pydantic_shows_nothing() -> None:
    holder = Holder(thought=Hidden(CANARY), number=1)
    assert CANARY not in repr(holder) + str(holder) + repr(holder.model_dump())
    assert CANARY not in raised(holder.model_dump_json)
    assert CANARY not in raised(lambda: TypeAdapter(Any).dump_json(STEP))
    assert holder.model_copy(deep=True) == holder


def test_a_validation_error_shows_nothing() -> None:
    for given_values in (
        {"thought": Hidden(CANARY), "number": "x"},
        {"number": Hidden(CANARY)},
        {"thought": STEP, "number": [STEP]},
    ):
        with pytest.raises(ValidationError) as caught:
            Holder.model_validate(given_values)
        assert CANARY not in str(caught.value) + repr(caught.value.errors())


@given(st.text(), st.text())
def test_hidden_values_are_equal_when_what_is_inside_is(first: str, second: str) -> None:
    assert (Hidden(first) == Hidden(second)) == (first == second)
    assert Hidden(first) != first
    assert len({Hidden(first), Hidden(first)}) == 1
    assert Hidden(first).reveal() == first


def test_completions_have_properties_and_are_equal_by_content() -> None:
    assert (COMPLETION.text, COMPLETION.token_ids, COMPLETION.logprobs) == (
        CANARY,
        (1, 2),
        (-0.5, -0.5),
    )
    assert (
        COMPLETION
        == Completion(CANARY, (1, 2), (-0.5, -0.5), "stop")
        != Completion("other", (1, 2), (-0.5, -0.5), "stop")
    )
    assert dataclasses.replace(COMPLETION, text="other") == Completion(  # type: ignore[call-arg]
        "other", (1, 2), (-0.5, -0.5), "stop"
    )
    assert len({COMPLETION, Completion(CANARY, (1, 2), (-0.5, -0.5), "stop")}) == 1


def test_a_request_does_not_show_its_prompt() -> None:
    assert "4711" not in repr(GenerateRequest((4711,))) + pprint.pformat(GenerateRequest((4711,)))


def test_it_cannot_be_changed() -> None:
    hidden = Hidden(CANARY)
    for name in ("_value", "value"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(hidden, name, "other")
    assert not hasattr(hidden, "__dict__") and hidden.reveal() == CANARY


def test_the_score_of_a_step_leaves_out_what_was_forced() -> None:
    assert Content("x", (1, 2, 3), (math.nan, -0.5, -0.25), forced=1).logprob == -0.75


MAY_REVEAL = {
    "agents/types/hidden.py": "compares two values",
    "agents/engines/base.py": "the properties of a completion",
    "agents/engines/openai/replicas.py": "sends the API key",
    "agents/engines/openai/replies.py": "reads what a server sent",
    "agents/critics/": "judge what a step says",
    "agents/prompts/prompts.py": "prompts hold the thought so far",
    "agents/roles/policy.py": "continues its own ids and follows think blocks",
    "agents/roles/chains.py": "cuts completions into steps",
    "agents/roles/summarizer.py": "reads the thought to sum it up",
    "graphs/reasoner/nodes.py": "cuts and judges steps, hands them to the roles",
    "graphs/thought/derive.py": "derives the long thought",
    "graphs/thought/markup.py": "renders the long thought, hidden again; the audit view",
    "graphs/reasoner/no_answer.py": "counts the tokens of a completion that was cut; "
    "the last step, hidden again",
    "graphs/thought/statistics.py": "counts words",
    "graphs/reasoner/graph.py": "renders the thought of an answer, hidden again",
    "graphs/terminal/answers.py": "the audit view",
    "graphs/ask.py": "the audit view, asked for with --show-thought",
    "graphs/chat.py": "the audit view, asked for with /thought",
    "graphs/traces/codec.py": "the AuditCodec",
    "graphs/evaluation/search_comparison/cost.py": "counts the tokens of paths",
    "graphs/evaluation/search_comparison/labels.py": "checks the arithmetic of steps",
    "graphs/evaluation/search_comparison/pools.py": "finds the steps of the first samples again",
    "graphs/export.py": "the option --reveal",
    "graphs/traces/export.py": "an export that was asked to reveal",
    "graphs/traces/conversations.py": "an export that was asked to reveal",
    "graphs/tree/draw.py": "draws the tree, hidden again; the audit view",
    "graphs/tree/tree.py": "sums log-probabilities",
    "training/": "training data are made of thoughts",
}


def test_only_those_who_must_reveal_hidden_values_do() -> None:
    callers = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("agents", "graphs", "training", "configs")
        for path in (REPOSITORY / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("reveal", "_value")
        and not _is_own_value(node)
    }
    strangers = {caller for caller in callers if not caller.startswith(tuple(MAY_REVEAL))}
    assert not strangers, (
        f"{strangers} reveal hidden values; where that must be, add them to MAY_REVEAL with the "
        "reason"
    )


def _is_own_value(node: ast.Attribute) -> bool:
    return node.attr == "_value" and isinstance(node.value, ast.Name) and node.value.id == "self"
