"""Replies that no model server should send: name to what is sent. One table for every
entry, so that a new fault is one line."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

from tests.agents.engines.openai.false_server import RawReply, completion

SECRET = "the hidden thought"
"""Text of the completions; no error may show it."""
KEY = "sk-hostile-0123456789abcdefgh"
"""API key that the client sends; no error may show it."""

Change = Callable[[dict[str, Any]], Any]


def http(
    body: bytes,
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    headers: str = "",
    length: int | None = None,
) -> bytes:
    """Returns an HTTP response."""
    lines = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: "
        f"{len(body) if length is None else length}\r\n{headers}"
    )
    return f"{lines}Connection: close\r\n\r\n".encode() + body


def good(request: dict[str, Any]) -> dict[str, Any]:
    """Returns a reply that is as it should be, with a text."""
    reply = completion(request)
    for choice in reply["choices"]:
        choice["text"] = SECRET
    return reply


def changed(change: Change) -> RawReply:
    """Returns a server whose completions went through `change`, which works on the
    reply or returns another one."""

    def reply(path: str, request: dict[str, Any]) -> bytes:
        answer = copy.deepcopy(good(request))
        answer = change(answer) or answer
        return http(json.dumps(answer).encode())

    return reply


def set_in_choice(name: str, value: Any) -> RawReply:
    def change(answer: dict[str, Any]) -> None:
        answer["choices"][0][name] = value

    return changed(change)


def set_in(path: str, value: Any) -> RawReply:
    """Returns a server with another value at a dotted path of its replies."""

    def change(answer: dict[str, Any]) -> None:
        *where, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        found: Any = answer
        for part in where:
            found = found[part]
        found[last] = value

    return changed(change)


def spelled(old: str, new: str) -> RawReply:
    """Returns a server whose JSON has one text in place of another: what json.dumps
    would not write."""

    def reply(path: str, request: dict[str, Any]) -> bytes:
        text = json.dumps(good(request))
        assert old in text
        return http(text.replace(old, new, 1).encode())

    return reply


def constant(body: bytes, **options: Any) -> RawReply:
    return lambda path, request: http(body, **options)


def encoded(change: Callable[[bytes], bytes], **options: Any) -> RawReply:
    """Returns a server whose good replies are encoded in some other way."""
    return lambda path, request: http(change(json.dumps(good(request)).encode()), **options)


def raw(data: bytes) -> RawReply:
    return lambda path, request: data


ANY_ROUTE: dict[str, RawReply] = {
    "HTML with status 200": constant(
        f"<html><h1>Bad gateway</h1>Authorization: Bearer {KEY}</html>".encode(), kind="text/html"
    ),
    "HTML that calls itself JSON": constant(b"<!DOCTYPE html><p>Welcome to nginx!"),
    "an error with status 200": constant(
        json.dumps(
            {"error": {"message": f"Incorrect API key provided: {KEY}", "code": 401}}
        ).encode()
    ),
    "an error as a text with status 200": constant(json.dumps({"error": f"no key {KEY}"}).encode()),
    "an empty body": constant(b""),
    "blanks": constant(b" \n\t "),
    "null": constant(b"null"),
    "a list": constant(b"[]"),
    "a number": constant(b"7"),
    "a text": constant(json.dumps(SECRET).encode()),
    "an empty object": constant(b"{}"),
    "plain text": constant(f"upstream connect error, token {KEY}".encode(), kind="text/plain"),
    "deep nesting of lists": constant(b"[" * 200_000),
    "deep nesting of objects": constant(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of 6,000 digits": constant(b'{"choices": ' + b"9" * 6000 + b"}"),
    "more than can be read": constant(b'{"choices": "' + SECRET.encode() * 3_000_000 + b'"}'),
    "zeros": constant(bytes(1000)),
    "control characters": constant(b"\x1b[31m\x07\x00 alert \x1b]0;title\x07"),
    "invalid UTF-8": constant(b'{"choices": "\xff\xfe\xfa"}'),
    "gzip that is none": constant(b"no gzip", headers="Content-Encoding: gzip\r\n"),
    "gzip that is cut off": constant(
        gzip.compress(SECRET.encode() * 50)[:-20], headers="Content-Encoding: gzip\r\n"
    ),
    "an unknown content encoding": constant(b"{}", headers="Content-Encoding: rot13\r\n"),
    "an answer that is shorter than announced": constant(b'{"choices": [', length=1000),
    "an answer that is longer than announced": constant(
        b'{"choices": []}' + SECRET.encode(), length=15
    ),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a status line without a status": raw(b"HTTP/1.1 OK\r\n\r\n"),
    "a closed connection": raw(b""),
    "an endless header": raw(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000),
    "a bad chunk": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + SECRET.encode()
    ),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "204": constant(b"", status="204 No Content"),
    "a redirection": constant(
        b"", status="307 Temporary Redirect", headers=f"Location: http://127.0.0.1:9/?key={KEY}\r\n"
    ),
    "status 400": constant(
        json.dumps(
            {"error": {"message": f"bad key {KEY}"}, "choices": [{"text": SECRET}]}
        ).encode(),
        status="400 Bad",
    ),
    "status 401": constant(f"Bearer {KEY} is wrong".encode(), status="401 Unauthorized"),
    "status 402": constant(b"pay", status="402 Payment Required"),
    "status 403": constant(b"no", status="403 Forbidden"),
    "status 404": constant(b"where?", status="404 Not Found"),
    "status 418": constant(b"teapot", status="418 I'm a teapot"),
    "status 422": constant(
        json.dumps({"detail": [{"msg": "bad", "input": {"text": SECRET}}]}).encode(),
        status="422 Unprocessable",
    ),
    "status 429": constant(b"slow down", status="429 Too Many"),
    "status 500": constant(
        json.dumps({"object": "error", "message": "list index out of range"}).encode(),
        status="500 Oh",
    ),
    "status 503": constant(b"", status="503 Busy", headers="Retry-After: 99999999999999999999\r\n"),
    "status 504": constant(
        b"<html>", status="504 Gone", headers="Retry-After: Mon, 99 Foo 2026 25:61:61 GMT\r\n"
    ),
    "status 599": constant(b"", status="599 Odd"),
    "status 999": constant(b"", status="999 Odd"),
}
"""Wrong on every route."""

COMPLETIONS: dict[str, RawReply] = {
    "JSON as text/html": encoded(lambda body: body, kind="text/html"),
    "JSON without a content type": lambda path, request: http(
        json.dumps(good(request)).encode()
    ).replace(b"Content-Type", b"X-Nothing"),
    "JSON in Latin-1": encoded(lambda body: body, kind="application/json; charset=latin-1"),
    "JSON in UTF-16": encoded(lambda body: body.decode().encode("utf-16")),
    "JSON behind a byte order mark": encoded(lambda body: b"\xef\xbb\xbf" + body),
    "JSON that is cut off": encoded(lambda body: body[:-30]),
    "JSON that is cut off in a text": encoded(
        lambda body: body[: body.index(SECRET.encode()) + len(SECRET)]
    ),
    "JSON twice": encoded(lambda body: body + body),
    "a stream of events": encoded(
        lambda body: b"data: " + body + b"\n\ndata: [DONE]\n\n", kind="text/event-stream"
    ),
    "Python in place of JSON": encoded(lambda body: str(json.loads(body)).encode()),
    "an error beside the choices": set_in("error", {"message": "out of memory"}),
    "no choices": changed(lambda answer: {"usage": answer["usage"]}),
    "choices are null": set_in("choices", None),
    "choices are an object": set_in("choices", {}),
    "choices are a text": set_in("choices", SECRET),
    "no choice": set_in("choices", []),
    "a choice is null": set_in("choices.0", None),
    "a choice is a text": set_in("choices.0", SECRET),
    "one choice too few": changed(lambda answer: answer | {"choices": answer["choices"][:1]}),
    "one choice too many": changed(
        lambda answer: (
            answer | {"choices": [*answer["choices"], answer["choices"][0] | {"index": 2}]}
        )
    ),
    "duplicate indices": set_in_choice("index", 1),
    "a missing index": set_in_choice("index", None),
    "an index that is a text": set_in_choice("index", "0"),
    "an index that is a float": set_in_choice("index", 0.0),
    "an index that is a bool": set_in_choice("index", False),
    "a negative index": set_in_choice("index", -1),
    "an index beyond n": set_in_choice("index", 7),
    "text is null": set_in_choice("text", None),
    "token ids are null": set_in_choice("token_ids", None),
    "token ids are a text": set_in_choice("token_ids", SECRET),
    "token ids are floats": set_in_choice("token_ids", [5.0, 5.0, 5.0, 5.0]),
    "token ids are texts": set_in_choice("token_ids", ["5", "5", "5", "5"]),
    "token ids are bools": set_in_choice("token_ids", [True, False, True, False]),
    "a token id is null": set_in_choice("token_ids", [5, None, 5, 5]),
    "a token id is a list": set_in_choice("token_ids", [5, [5], 5, 5]),
    "a token id is negative": set_in_choice("token_ids", [5, -1, 5, 5]),
    "a token id is outside the vocabulary": set_in_choice("token_ids", [5, 5, 5, 10**6]),
    "a token id is beyond 64 bits": set_in_choice("token_ids", [5, 5, 5, 10**30]),
    "no token": changed(lambda answer: _resized(answer, 0)),
    "one token too many": changed(lambda answer: _resized(answer, 5)),
    "a thousand tokens too many": changed(lambda answer: _resized(answer, 1004)),
    "logprobs are null": set_in_choice("logprobs", None),
    "logprobs are a list": set_in_choice("logprobs", [-1.0] * 4),
    "token logprobs are null": set_in("choices.0.logprobs.token_logprobs", None),
    "token logprobs are missing": set_in("choices.0.logprobs", {}),
    "a logprob is missing": set_in("choices.0.logprobs.token_logprobs", [-1.0] * 3),
    "a logprob is too many": set_in("choices.0.logprobs.token_logprobs", [-1.0] * 5),
    "a logprob is null": set_in("choices.0.logprobs.token_logprobs", [None, -1.0, -1.0, -1.0]),
    "a logprob is a text": set_in("choices.0.logprobs.token_logprobs", ["-1.0", -1.0, -1.0, -1.0]),
    "a logprob is a bool": set_in("choices.0.logprobs.token_logprobs", [False, -1.0, -1.0, -1.0]),
    "a logprob is positive": set_in("choices.0.logprobs.token_logprobs", [0.5, -1.0, -1.0, -1.0]),
    "a logprob is NaN": set_in(
        "choices.0.logprobs.token_logprobs", [float("nan"), -1.0, -1.0, -1.0]
    ),
    "a logprob is infinite": set_in(
        "choices.0.logprobs.token_logprobs", [float("inf"), -1.0, -1.0, -1.0]
    ),
    "a logprob is minus infinity": set_in(
        "choices.0.logprobs.token_logprobs", [float("-inf"), -1.0, -1.0, -1.0]
    ),
    "a logprob is 1e999": spelled("-1.0", "1e999"),
    "a logprob is -1e999": spelled("-1.0", "-1e999"),
    "a logprob is a whole number of 400 digits": spelled("-1.0", "-" + "9" * 400),
    "a finish reason is null": set_in_choice("finish_reason", None),
    "a finish reason is unknown": set_in_choice("finish_reason", "content_filter"),
    "a finish reason is a text of its own": set_in_choice("finish_reason", SECRET),
    "a finish reason is a list": set_in_choice("finish_reason", ["stop"]),
    "a stop reason that was not asked for": set_in_choice("stop_reason", SECRET),
    "a stop reason that is an object": set_in_choice("stop_reason", {"a": SECRET}),
    "a stop token that is not the last": changed(lambda answer: _stopped(answer, 6)),
    "a stop token that is a bool": changed(lambda answer: _stopped(answer, True)),
    "another prompt": set_in_choice("prompt_token_ids", [5, 7]),
    "a prompt that was cut": set_in_choice("prompt_token_ids", [6]),
    "a prompt that is a text": set_in_choice("prompt_token_ids", SECRET),
    "no usage": set_in("usage", None),
    "usage is a list": set_in("usage", []),
    "prompt tokens are null": set_in("usage.prompt_tokens", None),
    "prompt tokens are negative": set_in("usage.prompt_tokens", -2),
    "prompt tokens are a float": set_in("usage.prompt_tokens", 2.0),
    "prompt tokens are a bool": set_in("usage.prompt_tokens", True),
    "prompt tokens are huge": set_in("usage.prompt_tokens", 10**18),
    "prompt tokens are others": set_in("usage.prompt_tokens", 3),
    "generated tokens are null": set_in("usage.completion_tokens", None),
    "generated tokens are a text": set_in("usage.completion_tokens", "8"),
    "generated tokens are one too many": set_in("usage.completion_tokens", 9),
    "generated tokens are none": set_in("usage.completion_tokens", 0),
    "more is cached than there is": set_in("usage.prompt_tokens_details", {"cached_tokens": 3}),
    "cached tokens are negative": set_in("usage.prompt_tokens_details", {"cached_tokens": -1}),
    "cached tokens are a float": set_in("usage.prompt_tokens_details", {"cached_tokens": 1.0}),
    "cached tokens are no object": set_in("usage.prompt_tokens_details", 1),
}
"""Wrong replies to a request for two samples of at most four tokens, with
log-probabilities, after a prompt of two."""

SCORES: dict[str, RawReply] = {
    "scores are null": set_in("choices.0.logprobs.top_logprobs", None),
    "there are no scores": set_in("choices.0.logprobs.top_logprobs", []),
    "the scores are a list": set_in("choices.0.logprobs.top_logprobs.0", [-1.0]),
    "a score is missing": set_in("choices.0.logprobs.top_logprobs.0", {"token_id:7": -1.0}),
    "a score is null": set_in("choices.0.logprobs.top_logprobs.0.token_id:8", None),
    "a score is positive": set_in("choices.0.logprobs.top_logprobs.0.token_id:8", 1.5),
    "a score is NaN": set_in("choices.0.logprobs.top_logprobs.0.token_id:8", float("nan")),
    "a score is minus infinity": set_in(
        "choices.0.logprobs.top_logprobs.0.token_id:8", float("-inf")
    ),
    "a score is a bool": set_in("choices.0.logprobs.top_logprobs.0.token_id:8", False),
    "a score of several tokens": changed(lambda answer: _resized(answer, 3)),
}
"""Wrong replies to a request for the scores of tokens 7 and 8."""


def _models(*cards: Any) -> RawReply:
    return constant(json.dumps({"data": list(cards)}).encode())


MODELS: dict[str, RawReply] = {
    "no list of models": constant(json.dumps({"object": "list"}).encode()),
    "models are an object": constant(json.dumps({"data": {"id": "tiny"}}).encode()),
    "no model": _models(),
    "a model is null": _models(None),
    "a model is a text": _models("tiny"),
    "a model without a name": _models({"root": "tiny"}),
    "a model whose name is a number": _models({"id": 7}),
    "a model whose name is empty": _models({"id": ""}),
    "a model whose name acts on the terminal": _models({"id": "\x1b]0;owned\x07"}),
    "a model whose name is endless": _models({"id": "a" * 100_000}),
    "a root that is a list": _models({"id": "tiny", "root": ["/"]}),
    "a context that is a text": _models({"id": "tiny", "max_model_len": "512"}),
    "a context that is negative": _models({"id": "tiny", "max_model_len": -512}),
    "a context that is a float": _models({"id": "tiny", "max_model_len": 512.5}),
    "a context that is a bool": _models({"id": "tiny", "max_model_len": True}),
    "a context that is huge": _models({"id": "tiny", "max_model_len": 10**20}),
}
"""Wrong replies to /v1/models."""


def _resized(answer: dict[str, Any], length: int) -> dict[str, Any]:
    """Returns a reply whose choices hold `length` tokens each, and are consistent
    otherwise."""
    for choice in answer["choices"]:
        top = choice["logprobs"]["top_logprobs"][:1]
        choice["token_ids"] = [5] * length
        choice["logprobs"] = {"token_logprobs": [-1.0] * length, "top_logprobs": top * length}
    answer["usage"]["completion_tokens"] = length * len(answer["choices"])
    return answer


def _stopped(answer: dict[str, Any], stop_reason: Any) -> dict[str, Any]:
    answer["choices"][0] |= {"finish_reason": "stop", "stop_reason": stop_reason}
    return answer
