"""What travels through the graph: small, and safe to show.

LangGraph streams and checkpoints every channel, so none of them ever holds a hidden
value: the tree and its events live in the runtime
(`graphs.reasoner.thinking.Thinking`), and the state carries the name under which they
are found, counters, and what the user may see.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydantic import ValidationError

# pydantic makes no JSON schema of typing's before Python 3.12
from typing_extensions import TypedDict

from agents.answers import TASK_KINDS
from agents.roles.summarizer import SummarySource
from agents.types import Question
from configs import ConfigError
from graphs.tree import NoAnswer

MOST_METADATA = 1 << 16
"""Bytes of a question's metadata, as JSON."""
MOST_DEPTH = 64
"""Levels of lists and objects in it: what writes and reads a trace takes a few
hundred."""
MOST_SAMPLE = 2**31 - 1
"""Largest number of a sample."""

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
"""The nodes of the graph, in the order in which a thought first comes to them."""


class InputState(TypedDict, total=False):
    """What the caller gives; only `question` is required."""

    question: str
    gold: str | None
    """The right answer, where it is known: compared with, never shown to a model. Local
    callers only."""
    task: str
    """One of agents.answers.TASK_KINDS; "user" where it is not given."""
    metadata: dict[str, Any]
    """What the trace shall remember of the question: JSON, at most 64 KiB."""
    sample: int
    """Which attempt at the question this is, from 0; it is part of the seed."""
    thought_id: str
    """Made by the graph, a new one for every question: another is replaced, that of a
    thought in progress refused."""


class OutputState(TypedDict, total=False):
    """What the caller gets."""

    thought_id: str
    """Name of the thought, by which its trace is found."""
    status: str
    """answered, no_answer, out_of_domain or refused."""
    reason: NoAnswer | None
    """Why there is no answer; None where the status is not no_answer."""
    answer: str | None
    """See `graphs.Answer.answer`."""
    summary: str
    summary_source: SummarySource
    """Where the summary comes from: the kept steps, a model, or counts alone."""
    correct: bool | None
    rule_id: str | None
    """The safety rule that decided, where one did."""
    usage: dict[str, dict[str, int]]
    """Tokens and calls by role."""
    nodes: int
    """Size of the reasoning tree."""
    seconds: float


class State(InputState, OutputState, total=False):
    """All channels of the graph."""

    rounds: int
    """Turns of the suggestion-critique loop so far."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a run of the graph finds its engines and settings. Primitives only, so that
    it has a JSON schema.

    Resources are built at the first question that asks for them and kept for the
    process; see `graphs.reasoner.resources`.
    """

    overrides: tuple[str, ...] = ()
    """What a caller chooses of the server's configuration: ("preset=careful",
    "effort=low", "search.num_samples=8"). They count as remote, in this process, too:
    an allow-list, see `configs.remote`. Empty: the server's own configuration."""
    resources: str = ""
    """Key of resources that were opened and registered beforehand, in this process;
    excludes `overrides`."""

    def __post_init__(self) -> None:
        if isinstance(self.overrides, list):  # a context that comes as JSON holds a list
            object.__setattr__(self, "overrides", tuple(self.overrides))


def read_context(context: object) -> Context:
    """Returns what a caller gives as context. An object of JSON becomes a `Context`,
    and so does the context of a graph around this one that has its fields.

    Raises:
        ConfigError: it is something else, or holds what no context has.
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


def read_input(state: InputState, *, is_local: bool) -> tuple[Question, int]:
    """Returns the question that a caller gives, and the number of the sample.

    Args:
        state: the channels as they are: anything that JSON can hold may be in them.
        is_local: whether the caller is in this process, and so may give the right
            answer.

    Raises:
        ValueError: names the channel, the rule and the way out.
    """
    text, gold, task = state.get("question"), state.get("gold"), state.get("task", "user")
    metadata, sample = state.get("metadata"), state.get("sample", 0)
    if not isinstance(text, str):
        raise ValueError(
            f"question must be a text and is {type(text).__name__}; ask something in words"
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
        return Question(text=text, gold=gold, task=task, metadata=metadata), sample
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
