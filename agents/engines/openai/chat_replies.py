"""Reads replies of /v1/chat/completions. Every field is checked before use, as in
`agents.engines.openai.replies`.

What the published formats of servers have in common is read: message.content, a thought
in `reasoning` (vLLM, OpenRouter) or `reasoning_content` (vLLM before 0.12, llama.cpp,
DeepSeek, LiteLLM), finish_reason, usage, and log-probabilities in `logprobs.content`.
The string that ended a reply is `stop_reason` (vLLM) or `matched_stop` (SGLang).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.engines.openai.replies import (
    AbortedError,
    MalformedError,
    Reply,
    checked_logprobs,
    describe,
    integer,
    json_object,
    mapping,
    sequence,
)
from agents.types import FinishReason

_FINISHED: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    # a cut reply has no answer, which is counted
    "content_filter": "length",
}
"""finish_reason of a reply to that of a completion."""
_THOUGHT_FIELDS = ("reasoning", "reasoning_content")
_BYTES_PER_TOKEN = 4096  # with 20 alternatives


@dataclass(frozen=True, slots=True)
class ChatExpected:
    """Properties that the reply to a chat request must have."""

    n: int = 1
    max_tokens: int = 1
    logprobs: bool = False
    """Whether the request asked for log-probabilities."""
    usage: bool = False
    """Whether the server counts tokens."""

    @property
    def most_bytes(self) -> int:
        """Maximum size of the reply, in bytes."""
        return (1 << 20) + self.n * self.max_tokens * _BYTES_PER_TOKEN


@dataclass(frozen=True, slots=True)
class ChatToken:
    """One token of a reply."""

    raw: bytes = field(repr=False)
    """Its text in UTF-8; may be part of a character."""
    logprob: float
    """In nats, at most 0."""
    top: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    """Text and log-probability of the likeliest tokens in its place."""


@dataclass(frozen=True, slots=True)
class ChatChoice:
    """One completion of a reply."""

    content: str = field(repr=False)
    thought: str = field(repr=False)
    """Text of the reasoning field; "" without one."""
    finish_reason: FinishReason
    stop: str | None
    """The stop string that the server names."""
    tokens: tuple[ChatToken, ...] | None = field(repr=False)
    """None if there are no log-probabilities."""


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """The server's count of the tokens of a request."""

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class ChatReply:
    """Content of a reply: n choices in the order of their indices, and their usage."""

    choices: tuple[ChatChoice, ...]
    usage: ServerUsage | None


def read_chat(reply: Reply, expected: ChatExpected) -> ChatReply:
    """Returns the content of the reply to a chat request.

    Raises:
        MalformedError: a field is missing, has the wrong type or does not fit
            `expected`.
        AbortedError: a choice was aborted.
    """
    answer = json_object(reply)
    choices = sequence(answer.get("choices"), "choices")
    if len(choices) != expected.n:
        lost = "; the server no longer returns n completions" if len(choices) == 1 else ""
        raise MalformedError(f"it has {len(choices)} choices for n={expected.n}{lost}")
    by_index: dict[int, ChatChoice] = {}
    for choice in choices:
        fields = mapping(choice, "a choice")
        index = integer(fields.get("index", 0), "index", most=expected.n - 1)
        if index in by_index:
            raise MalformedError(f"index {index} occurs twice")
        by_index[index] = _choice(fields, expected)
    usage = _usage(answer.get("usage"))
    if usage is None and expected.usage:
        raise MalformedError("it has no usage, which the server reported when the engine opened")
    return ChatReply(tuple(by_index[index] for index in range(expected.n)), usage)


def _choice(fields: Mapping[str, Any], expected: ChatExpected) -> ChatChoice:
    reason = fields.get("finish_reason")
    if reason == "abort":
        raise AbortedError
    if not isinstance(reason, str) or reason not in _FINISHED:
        raise MalformedError(
            f"the finish reason is {describe(reason)}, none of {', '.join(_FINISHED)}"
        )
    message = mapping(fields.get("message"), "message")
    thoughts = [_text(message, name) for name in _THOUGHT_FIELDS]
    tokens = _tokens(fields.get("logprobs"))
    if expected.logprobs and tokens is None:
        raise MalformedError(
            "it has no log-probabilities, which the server reported when the engine opened"
        )
    stop = fields.get("stop_reason", fields.get("matched_stop"))
    return ChatChoice(
        _text(message, "content"),
        next((thought for thought in thoughts if thought), ""),
        _FINISHED[reason],
        stop if isinstance(stop, str) else None,
        tokens,
    )


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedError(f"{name} is {describe(value)}, not a string")
    return value or ""


def _tokens(value: Any) -> tuple[ChatToken, ...] | None:
    """Returns the tokens with their log-probabilities; None if the reply has none."""
    if not isinstance(value, dict) or value.get("content") is None:
        return None
    return tuple(
        _token(mapping(one, "logprobs.content")) for one in sequence(value["content"], "content")
    )


def _token(fields: Mapping[str, Any]) -> ChatToken:
    text, raw = _text(fields, "token"), fields.get("bytes")
    if raw is not None:
        if not all(type(byte) is int and 0 <= byte < 256 for byte in sequence(raw, "bytes")):
            raise MalformedError("bytes contains a value that is no byte")
        raw = bytes(raw)
    top = [mapping(one, "top_logprobs") for one in fields.get("top_logprobs") or ()]
    logprob, *others = checked_logprobs(
        [fields.get("logprob"), *(one.get("logprob") for one in top)], "logprobs.content"
    )
    return ChatToken(
        text.encode(errors="replace") if raw is None else raw,
        logprob,
        tuple(zip((_text(one, "token") for one in top), others, strict=True)),
    )


def _usage(value: Any) -> ServerUsage | None:
    """Returns the counts of a reply; None if it has none, or only zeros."""
    if value is None:
        return None
    usage = mapping(value, "usage")
    prompt = integer(usage.get("prompt_tokens", 0), "usage.prompt_tokens")
    generated = integer(usage.get("completion_tokens", 0), "usage.completion_tokens")
    if not prompt and not generated:
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    found = 0 if cached is None else integer(cached, "cached_tokens")
    return ServerUsage(prompt, min(found, prompt), generated)
