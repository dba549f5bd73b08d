"""Parses server replies and checks every field before it is used.

A `read_...` function takes a whole `Reply` and returns its content, or raises
`MalformedError` with a reason that quotes no content: only numbers, field names and
types. There is no schema library, because the important rules depend on the request
(number of choices, max_tokens, vocabulary), and 2,000 tokens are checked in well under
a millisecond.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from agents.engines.openai.redaction import excerpt
from agents.types import FinishReason, Hidden, Usage

MOST_BYTES = 4 << 20
"""Maximum size of a reply without tokens, in bytes."""

_BYTES_PER_TOKEN = 512  # id, text, log-probability and offset in JSON; about 100 in practice
_BYTES_PER_PROMPT_TOKEN = 16  # a server repeats the prompt's ids with each choice
_BYTES_PER_SCORE = 128
_ROUNDING_ERROR = 1e-3  # nats by which rounding may lift a log-probability above 0
_MIN_LOGPROB = -1e9  # nats
_MOST_TOKENS = 1 << 31
_MOST_NAME_CHARACTERS = 500
_SEARCHED_BYTES = 8192  # bytes of a refusal that are searched for its reason
_TOO_LONG = re.compile(
    r"(?i)context[ _-]?(?:length|window|size|limit)"
    r"|max(?:imum)?[ _](?:allowed |supported )?(?:model|input|prompt|sequence)[ "
    r"_](?:len|tokens|size)|maximum (?:allowed |supported )length"
    r"|\b(?:prompt|input|request|sequence)s?\b(?: (?:is|are) too "
    r"(?:long|large)|.{0,40}\bexceeds?\b.{0,60}\b(?:length|tokens)\b)"
    r"|max_new_tokens\W{1,3}must be <=|must have less than \d{1,9} tokens"
)
_ACCOUNT_LIMIT = re.compile(
    r"(?i)\bper (?:second|minute|hour|day|week|month)\b"
    r"|\b(?:quota|budget|credits?|billing|[tr]p[md])\b|rate[ _-]?limit"
)
"""Matches a limit of the caller's account, which does not depend on the request's
length."""
_CONTEXT_FIELDS = (
    "loaded_context_length",
    "context_length",
    "context_window",
    "max_context_length",
)
"""Names of the context length in lists of models, beside vLLM's `max_model_len` and
llama.cpp's `meta.n_ctx`: LM Studio, OpenRouter, Groq, Mistral."""
_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d{1,9})\b"
_CONTEXT = re.compile(
    r"(?i)(?:context[ _-]?(?:length|window|size)|model[ "
    r"_]len(?:gth)?)\W{0,3}(?:is|of|:|=|only)?\W{0,3}" + _NUMBER
)


class MalformedError(Exception):
    """A reply does not fit the request; the text is the reason."""


class AbortedError(Exception):
    """The server aborted a completion, as a server does that is shutting down; the
    tokens so far are not a valid sample.
    """


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP reply."""

    status: int
    content_type: str
    charset: str | None
    body: Hidden[bytes]
    """Only its beginning if `status` is an error."""
    retry_after_s: float = 0.0
    """Minimum wait before another attempt that the server demands, in seconds."""
    location: str = ""
    """Target of a redirection."""

    def excerpt(self, secrets: Sequence[str] = ()) -> str:
        """Returns the beginning of the body for an error; `secrets` are masked."""
        return excerpt(self.body.reveal(), secrets=secrets)

    @property
    def named_context(self) -> int | None:
        """Context length, in tokens, that a refusal of a too long request names; 0: it
        names none; None: the reply is no such refusal.
        """
        if self.status not in (400, 413, 422):
            return None
        text = self.body.reveal()[:_SEARCHED_BYTES].decode("utf-8", errors="replace")
        if _ACCOUNT_LIMIT.search(text):
            return None
        if not _TOO_LONG.search(text):
            return 0 if self.status == 413 else None
        number = _CONTEXT.search(text)
        return int(number[1].replace(",", "")) if number else 0


@dataclass(frozen=True, slots=True)
class Expected:
    """Properties that the reply to a completion request must have."""

    prompt_tokens: int
    vocabulary_size: int
    """Exclusive upper bound of the token ids."""
    n: int = 1
    max_tokens: int = 1
    logprobs: bool = True
    """Whether the request asked for log-probabilities; without them they are NaN."""
    stop: tuple[str, ...] = ()
    prompt: Sequence[int] | None = None
    """The prompt, compared with the reply if the server repeats it; None: not
    compared."""
    candidates: tuple[int, ...] = ()
    """Tokens whose log-probability as the first token is requested."""

    @property
    def most_bytes(self) -> int:
        """Maximum size of the reply, in bytes."""
        bytes_per_choice = (
            self.max_tokens * _BYTES_PER_TOKEN + self.prompt_tokens * _BYTES_PER_PROMPT_TOKEN
        )
        return (1 << 20) + self.n * (bytes_per_choice + len(self.candidates) * _BYTES_PER_SCORE)


@dataclass(frozen=True, slots=True)
class ReplyChoice:
    """One completion of a reply."""

    token_ids: tuple[int, ...] = field(repr=False)
    logprobs: tuple[float, ...]
    """In nats, each at most 0; NaN if not requested."""
    finish_reason: FinishReason
    stop_reason: str | int | None
    scores: tuple[float, ...] = ()
    """Log-probability of each of `Expected.candidates`, in nats, each at most 0."""


@dataclass(frozen=True, slots=True)
class Completions:
    """Content of the reply to a completion request: `n` choices in the order of their
    indices, and their usage.
    """

    choices: tuple[ReplyChoice, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as /v1/models lists it."""

    name: str
    root: str | None
    """Folder or hub id from which the server loaded it."""
    context_length: int | None
    """In tokens; None: not reported."""


def read_completions(reply: Reply, expected: Expected) -> Completions:
    """Returns the content of the reply to a completion request.

    Raises:
        MalformedError: a field is missing, has the wrong type or does not fit
            `expected`.
        AbortedError: a choice was aborted.
    """
    answer = json_object(reply)
    choices = sequence(answer.get("choices"), "choices")
    if len(choices) != expected.n:
        raise MalformedError(f"it has {len(choices)} choices for n={expected.n}")
    by_index: dict[int, ReplyChoice] = {}
    for choice in choices:
        fields = mapping(choice, "a choice")
        index = integer(fields.get("index"), "index", most=expected.n - 1)
        if index in by_index:
            raise MalformedError(f"index {index} occurs twice")
        by_index[index] = _choice(fields, expected)
    ordered = tuple(by_index[index] for index in range(expected.n))
    generated = sum(len(choice.logprobs) for choice in ordered)
    return Completions(ordered, _usage(answer.get("usage"), expected, generated))


def read_models(reply: Reply) -> tuple[ModelCard, ...]:
    """Returns the models that a server lists, at least one.

    Raises:
        MalformedError: the reply is not a list of models, or the list is empty.
    """
    cards = [mapping(card, "a model") for card in sequence(json_object(reply).get("data"), "data")]
    if not cards:
        raise MalformedError("it lists no model")
    return tuple(
        ModelCard(
            _name(card.get("id"), "id"),
            None if card.get("root") is None else _name(card["root"], "root"),
            _context_length(card),
        )
        for card in cards
    )


def _context_length(card: Mapping[str, Any]) -> int | None:
    """Returns the context length in a model's card; None if there is none."""
    if card.get("max_model_len") is not None:
        return integer(card["max_model_len"], "max_model_len", least=2)
    meta = card.get("meta")
    others = [card.get(name) for name in _CONTEXT_FIELDS]
    others.append(meta.get("n_ctx") if isinstance(meta, dict) else None)
    return next((value for value in others if type(value) is int and value > 1), None)


def read_success(reply: Reply) -> bool:
    """Returns `success` of a reply {"success": ...}.

    Raises:
        MalformedError: the reply has another form.
    """
    success = json_object(reply).get("success")
    if not isinstance(success, bool):
        raise MalformedError(f"success is {describe(success)}, not a bool")
    return success


def read_nothing(reply: Reply) -> None:
    """Ignores the body, for a route that reports success by its status."""


def _choice(fields: Mapping[str, Any], expected: Expected) -> ReplyChoice:
    finish_reason, stop_reason = fields.get("finish_reason"), fields.get("stop_reason")
    if finish_reason == "abort":
        raise AbortedError
    if finish_reason not in ("stop", "length"):
        raise MalformedError(
            f"the finish reason is {describe(finish_reason)}, neither stop nor length"
        )
    if not isinstance(fields.get("text", ""), str):
        raise MalformedError(f"text is {describe(fields['text'])}")
    repeated = fields.get("prompt_token_ids")
    if repeated is not None and expected.prompt is not None and repeated != list(expected.prompt):
        raise MalformedError(
            "prompt_token_ids is not the prompt of the request; a proxy may have mixed up replies"
        )
    token_ids = _token_ids(fields.get("token_ids"), expected)
    _check_stop_reason(finish_reason, stop_reason, token_ids, expected)
    logprobs: tuple[float, ...] = (math.nan,) * len(token_ids)
    scores: tuple[float, ...] = ()
    if expected.logprobs:
        found = mapping(fields.get("logprobs"), "logprobs")
        logprobs = checked_logprobs(
            sequence(found.get("token_logprobs"), "token_logprobs"), "token_logprobs"
        )
        if len(logprobs) != len(token_ids):
            raise MalformedError(
                f"it has {len(token_ids)} token ids and {len(logprobs)} log-probabilities"
            )
        if expected.candidates:
            first = mapping(
                next(iter(sequence(found.get("top_logprobs"), "top_logprobs")), None),
                "top_logprobs[0]",
            )
            scores = checked_logprobs(
                [first.get(f"token_id:{token}") for token in expected.candidates], "top_logprobs[0]"
            )
    return ReplyChoice(token_ids, logprobs, finish_reason, stop_reason, scores)


def _token_ids(value: Any, expected: Expected) -> tuple[int, ...]:
    token_ids = sequence(value, "token_ids")
    if not 1 <= len(token_ids) <= expected.max_tokens:
        raise MalformedError(
            f"a choice has {len(token_ids)} tokens for max_tokens={expected.max_tokens}"
        )
    if set(map(type, token_ids)) != {int}:
        raise MalformedError("token_ids contains a value that is not an integer")
    if min(token_ids) < 0 or max(token_ids) >= expected.vocabulary_size:
        raise MalformedError(
            f"token_ids contains an id outside the vocabulary of {expected.vocabulary_size}; "
            "engine.tokenizer must be the tokenizer of the served model"
        )
    return tuple(token_ids)


def _check_stop_reason(
    finish_reason: str, stop_reason: Any, token_ids: Sequence[int], expected: Expected
) -> None:
    if stop_reason is None:
        return
    is_known = (
        stop_reason in expected.stop
        if isinstance(stop_reason, str)
        else type(stop_reason) is int and stop_reason == token_ids[-1]
    )
    if not is_known or finish_reason != "stop":
        raise MalformedError(
            "the stop reason is neither a stop string of the request nor the last token"
        )


def checked_logprobs(values: Sequence[Any], name: str) -> tuple[float, ...]:
    if not set(map(type, values)) <= {float, int}:
        raise MalformedError(f"{name} contains a value that is not a number")
    if values and not _MIN_LOGPROB <= min(values) <= max(values) <= _ROUNDING_ERROR:
        raise MalformedError(f"{name} contains a number that is not a log-probability")
    return tuple(value if value < 0.0 else 0.0 for value in map(float, values))


def _usage(value: Any, expected: Expected, generated: int) -> Usage:
    """Returns the usage of a reply, counted from its tokens; the server's counts must
    agree, and provide the cached tokens.
    """
    usage = mapping(value, "usage")
    prompt = integer(usage.get("prompt_tokens"), "usage.prompt_tokens")
    if prompt not in (expected.prompt_tokens, expected.n * expected.prompt_tokens):
        raise MalformedError(
            f"usage.prompt_tokens is not the number of prompt tokens, {expected.prompt_tokens}"
        )
    if integer(usage.get("completion_tokens"), "usage.completion_tokens") != generated:
        raise MalformedError(
            f"usage.completion_tokens is not the number of tokens in the choices, {generated}"
        )
    details = usage.get("prompt_tokens_details")
    cached = (
        None
        if details is None
        else mapping(details, "usage.prompt_tokens_details").get("cached_tokens")
    )
    found = (
        0
        if cached is None
        else integer(cached, "usage.prompt_tokens_details.cached_tokens", most=prompt)
    )
    total_cached = found if prompt > expected.prompt_tokens else expected.n * found
    return Usage(expected.n * expected.prompt_tokens, total_cached, generated, 1)


def json_object(reply: Reply) -> Mapping[str, Any]:
    """Returns the JSON object in a reply's body."""
    body = reply.body.reveal()
    if not body:
        raise MalformedError("it is empty")
    if reply.content_type != "application/json" and not reply.content_type.endswith("+json"):
        raise MalformedError("its content type is not application/json")
    if reply.charset is not None and reply.charset.lower() not in (
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
    ):
        raise MalformedError("its charset is not UTF-8")
    try:
        answer = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise MalformedError("it is not UTF-8") from None
    except ValueError as error:  # or an integer of more than 4,300 digits
        where = f" (at character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise MalformedError(f"it is not JSON{where}") from None
    if not isinstance(answer, dict):
        raise MalformedError(f"it is {describe(answer)}, not an object")
    if answer.get("error") is not None:
        raise MalformedError("it reports an error")
    return answer


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"it contains {name}, which is not JSON")


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is {describe(value)}, not an object")
    return value


def sequence(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedError(f"{name} is {describe(value)}, not a list")
    return value


def integer(value: Any, name: str, *, least: int = 0, most: int = _MOST_TOKENS) -> int:
    if type(value) is not int:
        raise MalformedError(f"{name} is {describe(value)}, not an integer")
    if not least <= value <= most:
        raise MalformedError(f"{name} is not between {least} and {most}")
    return value


def _name(value: Any, what: str) -> str:
    """Returns the name of a model or folder, which must be printable and short enough
    for a path.
    """
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or not 0 < len(value) <= _MOST_NAME_CHARACTERS
    ):
        raise MalformedError(
            f"{what} is {describe(value)}, not a name of 1 to {_MOST_NAME_CHARACTERS} printable "
            "characters"
        )
    return value


def describe(value: Any) -> str:
    """Returns a description of a value for an error: a single lower-case word as it is,
    otherwise the type.
    """
    if value is None:
        return "null or missing"
    if isinstance(value, str) and re.fullmatch(r"[a-z_]{1,30}", value):
        return repr(value)
    return f"a {type(value).__name__}"
