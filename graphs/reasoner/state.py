"""The graph's state, context and input.

LangGraph streams and checkpoints every channel, so no channel holds a hidden value. The
tree and its events are in `graphs.reasoner.thinking.Thinking`; the state holds its id,
counters, and what the user may see.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from pydantic import ValidationError

# before Python 3.12 pydantic has no JSON schema for typing.TypedDict
from typing_extensions import TypedDict

from agents.answers import TASK_KINDS
from agents.roles.summarizer import SummarySource
from agents.types import Question
from configs import ConfigError
from graphs.reasoner.conversation.messages import earlier_attempt, question_in, turns_of
from graphs.tree import NoAnswer

MOST_METADATA = 1 << 16
"""Bytes of a question's metadata, as JSON."""
MOST_DEPTH = 64
"""Nesting of lists and objects in the metadata; reading and writing a trace allows a
few hundred levels."""
MOST_SAMPLE = 2**31 - 1
"""Largest index of a sample."""

Phase = Literal[
    "screen",
    "select",
    "suggest",
    "critique",
    "reflect",
    "derive",
    "answer",
    "summarize",
    "check",
    "record",
]
"""The nodes of the graph, in the order in which a thought visits them first."""


class InputState(TypedDict, total=False):
    """The caller's input; only a question is required: `question`, or `messages` that
    end with one.
    """

    question: str
    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation, as LangGraph's messages or as {"role", "content"}. If the last
    message is the user's, it is the question. The graph appends question and reply, so
    with a checkpointer a thread remembers."""
    gold: str | None
    """The right answer, for scoring; never shown to a model. Local callers only."""
    task: str
    """One of agents.answers.TASK_KINDS; "user" by default."""
    metadata: dict[str, Any]
    """Stored with the trace: JSON, at most 64 KiB."""
    sample: int
    """Index of the attempt at the question, from 0; part of the seed. The reply of a
    later attempt replaces the earlier one in `messages`."""
    thought_id: str
    """Set by the graph for every question. A caller's value is replaced; that of a
    thought in progress is refused."""


class OutputState(TypedDict, total=False):
    """The result for the caller."""

    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation with question and reply; see `InputState.messages`."""
    dropped_turns: int
    """Oldest turns of the conversation that the model's context has no room for."""
    thought_id: str
    """Id of the thought and its trace."""
    status: str
    """answered, no_answer, out_of_domain or refused."""
    reason: NoAnswer | None
    """Why there is no answer; None unless the status is no_answer."""
    answer: str | None
    """See `graphs.Answer.answer`."""
    summary: str
    summary_source: SummarySource
    """Source of the summary: the kept steps, a model, or counts alone."""
    correct: bool | None
    rule_id: str | None
    """The safety rule that decided; None if none did."""
    usage: dict[str, dict[str, int]]
    """Tokens and calls by role."""
    nodes: int
    """Size of the reasoning tree."""
    seconds: float


class State(InputState, OutputState, total=False):
    """All channels of the graph."""

    rounds: int
    """Iterations of the suggestion-critique loop so far."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Names the resources of a run: engines and settings. Its fields are primitives, so
    that it has a JSON schema.

    Resources are opened at the first question that needs them; see
    `graphs.reasoner.resources`.
    """

    overrides: tuple[str, ...] = ()
    """The caller's options: ("preset=careful", "effort=low", "search.num_samples=8").
    Only options of the allow-list in `configs.remote` are accepted, also from this
    process. Empty: the server's own configuration."""
    resources: str = ""
    """Key of resources that are open and registered in this process; excludes
    `overrides`."""

    def __post_init__(self) -> None:
        if isinstance(self.overrides, list):  # JSON has lists only
            object.__setattr__(self, "overrides", tuple(self.overrides))


def read_context(context: object) -> Context:
    """Returns a caller's context as a `Context`: from None, a JSON object, or the
    context of an outer graph that has the same fields.

    Raises:
        ConfigError: `context` is something else, or has an unknown field.
    """
    if context is None or isinstance(context, Context):
        return context or Context()
    names = [field.name for field in fields(Context)]
    if all(hasattr(context, name) for name in names):
        return Context(**{name: getattr(context, name) for name in names})
    if not isinstance(context, Mapping):
        what = type(context).__name__
        raise ConfigError(
            f"the context must be an object with {' or '.join(names)} and is {what}; leave it out, "
            "or give one"
        )
    if unknown := [key for key in context if key not in names]:
        raise ConfigError(
            f"the context holds {ascii(unknown[0])[:60]}, and only {' and '.join(names)} can be "
            "set; write what a caller may choose into "
            'overrides, such as {"overrides": ["effort=low"]}'
        )
    return Context(**context)


def read_input(state: InputState, *, is_local: bool) -> tuple[Question, int, int]:
    """Returns the caller's question with the turns before it, the index of the sample,
    and the number of oldest messages that were not read.

    Args:
        state: unvalidated channels; any JSON value may be in them.
        is_local: whether the caller is in this process, and so may pass a gold.

    Raises:
        ValueError: a channel is invalid.
    """
    text, gold, task = state.get("question"), state.get("gold"), state.get("task", "user")
    metadata, sample = state.get("metadata"), state.get("sample", 0)
    messages = state.get("messages") or []
    if (asked := question_in(messages)) is not None:
        text, messages = asked, messages[:-1]
    elif isinstance(text, str) and sample and earlier_attempt(text, messages):
        messages = messages[:-2]
    if not isinstance(text, str):
        raise ValueError(
            f"question must be a text and is {type(text).__name__}; ask something in words, or end "
            "messages with a message of the user"
        )
    if not (gold is None or isinstance(gold, str)):
        raise ValueError(
            f"gold must be a text or null and is {type(gold).__name__}; write the right answer as "
            "text, or leave it out"
        )
    if gold is not None and not is_local:
        raise ValueError(
            "gold is for local callers, whose runs are scored; leave it out, or use Reasoner"
        )
    if not isinstance(task, str) or task not in TASK_KINDS:
        raise ValueError(
            f"task ({ascii(task)[:80]}) must be one of {', '.join(TASK_KINDS)}; leave it out for a "
            "question of your own"
        )
    if isinstance(sample, bool) or not isinstance(sample, int) or not 0 <= sample <= MOST_SAMPLE:
        raise ValueError(
            f"sample must be an integer from 0 to {MOST_SAMPLE}; leave it out for the first attempt"
        )
    thought_id = state.get("thought_id")
    if not (thought_id is None or isinstance(thought_id, str)):
        raise ValueError(
            f"thought_id must be a text and is {type(thought_id).__name__}; the graph makes it "
            "itself, so leave it out"
        )
    metadata = {} if metadata is None else metadata
    _check_metadata(metadata)
    try:
        history, left_out = turns_of(messages)
        question = Question(text=text, gold=gold, task=task, metadata=metadata, history=history)
        return question, sample, left_out
    except ValidationError as error:
        raise ValueError(str(error.errors(include_input=False)[0]["ctx"]["error"])) from None


def _check_metadata(metadata: object) -> None:
    if not (isinstance(metadata, dict) and all(isinstance(key, str) for key in metadata)):
        raise ValueError(
            "metadata must be a mapping with texts for keys; leave it out, or give a JSON object"
        )
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"metadata must be plain JSON ({type(error).__name__}); leave out what is no text, "
            "number or list"
        ) from None
    if size > MOST_METADATA:
        raise ValueError(
            f"metadata has {size} bytes as JSON, and at most {MOST_METADATA} are kept with a "
            "trace; shorten it"
        )
    level: list[Any] = [metadata]
    for _ in range(MOST_DEPTH):
        level = [
            item
            for value in level
            for item in _items(value)
            if isinstance(item, dict | list | tuple)
        ]
    if level:
        raise ValueError(
            f"metadata is nested deeper than {MOST_DEPTH} levels, the most that are kept with a "
            "trace; flatten it"
        )


def _items(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
