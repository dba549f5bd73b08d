"""What a hostile or broken server may send: every reply is an EngineError that shows
neither keys nor thoughts, or is right.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.engines import GenerateRequest
from agents.engines.openai.engine import OpenAIEngine
from agents.engines.openai.redaction import MOST_CHARACTERS, excerpt
from agents.engines.openai.replies import (
    AbortedError,
    Expected,
    MalformedError,
    Reply,
    read_completions,
)
from agents.types import (
    BadReplyError,
    ContextLengthError,
    EngineError,
    EngineUnavailableError,
    Hidden,
    Usage,
)
from tests.agents.engines.openai.false_server import Clock, RawReply, completion, raw_server
from tests.agents.engines.openai.hostile import (
    ANY_ROUTE,
    COMPLETIONS,
    KEY,
    MODELS,
    SCORES,
    SECRET,
    constant,
    good,
    http,
    set_in,
    set_in_choice,
    spelled,
)

REQUEST = GenerateRequest((5, 6), n=2, max_tokens=4)
SHOWN = 600  # characters of an error: an excerpt, an address, and the rest of the sentence


@asynccontextmanager
async def engine_on(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    hostile: RawReply,
    *,
    from_request: int = 3,
    path: str = "/v1/completions",
) -> AsyncIterator[OpenAIEngine]:
    """An engine on a server that is good until the `from_request`th request to `path`,
    and hostile from then on.
    """
    requests = 0

    def reply(asked: str, request: dict[str, Any]) -> bytes:
        nonlocal requests
        requests += asked == path
        if asked == path and requests >= from_request:
            return hostile(asked, request)
        if asked == "/v1/models":
            return http(
                json.dumps(
                    {"data": [{"id": "tiny", "root": str(folder), "max_model_len": 512}]}
                ).encode()
            )
        return http(
            json.dumps(good(request) if asked == "/v1/completions" else {"success": True}).encode()
        )

    monkeypatch.setenv("HOSTILE_KEY", KEY)
    clock = Clock()
    async with raw_server(reply) as base_url:
        engine = await OpenAIEngine.open(
            base_url=base_url,
            api_key_env="HOSTILE_KEY",
            retry_s=20.0,
            clock=clock,
            sleep=clock.sleep,
        )
        try:
            yield engine
        finally:
            await engine.close()


def check_shown(error: BaseException) -> None:
    """An error is short, on one line, and shows neither key nor thought, nor do the
    frames that it came through.
    """
    for text in (str(error), repr(error)):
        assert SECRET not in text and KEY not in text
        assert len(text) <= SHOWN and (text.isprintable() or repr(error) == text)
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    while report is not None:
        for frame in report.stack:
            if "/agents/engines/" in frame.filename:
                seen = " ".join((frame.locals or {}).values())
                assert SECRET not in seen and KEY not in seen, frame
        report = report.__cause__ or report.__context__  # type: ignore[assignment]


@pytest.mark.parametrize("name", [*ANY_ROUTE, *COMPLETIONS])
async def test_a_hostile_completion_is_an_engine_error(
    name: str, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = (ANY_ROUTE | COMPLETIONS)[name]
    async with engine_on(tiny_model_folder, monkeypatch, hostile) as engine:
        with pytest.raises(EngineError) as caught:
            await engine.generate(REQUEST)
        check_shown(caught.value)
        if name in COMPLETIONS:
            assert isinstance(caught.value, BadReplyError)


@pytest.mark.parametrize("name", [*ANY_ROUTE, *SCORES])
async def test_a_hostile_score_is_an_engine_error(
    name: str, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine_on(tiny_model_folder, monkeypatch, (ANY_ROUTE | SCORES)[name]) as engine:
        with pytest.raises(EngineError) as caught:
            await engine.score((5, 6), (7, 8))
        check_shown(caught.value)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/completions"])
@pytest.mark.parametrize("name", [*ANY_ROUTE, *MODELS])
async def test_a_server_that_opens_hostile_is_unavailable(
    name: str, path: str, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError) as caught:
        async with engine_on(
            tiny_model_folder, monkeypatch, (ANY_ROUTE | MODELS)[name], from_request=1, path=path
        ):
            pass
    check_shown(caught.value)


@pytest.mark.parametrize(
    "path", ["/pause?mode=wait", "/collective_rpc", "/reset_prefix_cache", "/resume"]
)
@pytest.mark.parametrize("name", list(ANY_ROUTE))
async def test_hostile_admin_routes_end_in_an_engine_error(
    name: str,
    path: str,
    tiny_model_folder: Path,
    other_tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the other routes the status is the whole answer; whether weights were loaded
    is then asked of the one that answers.
    """
    async with engine_on(
        tiny_model_folder, monkeypatch, ANY_ROUTE[name], from_request=1, path=path
    ) as engine:
        try:
            await engine.publish(other_tiny_model_folder)
        except EngineError as error:
            check_shown(error)
        else:
            assert path != "/reset_prefix_cache" and engine.version == 1


async def test_good_replies_are_read(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table above changes a reply that is right; what servers differ in is right as
    well.
    """
    rounded = spelled("-1.0", "1e-4")
    for reply in (
        lambda path, request: http(json.dumps(good(request)).encode()),
        rounded,
        set_in("usage.prompt_tokens", 4),
        set_in("usage.prompt_tokens_details", {"cached_tokens": None}),
        set_in("usage.prompt_tokens_details", {"cached_tokens": 2}),
        set_in("error", None),
        set_in("something_new", [None]),
        set_in_choice("prompt_token_ids", [5, 6]),
    ):
        async with engine_on(tiny_model_folder, monkeypatch, reply) as engine:
            generation = await engine.generate(REQUEST)
            assert [found.token_ids for found in generation.completions] == [(5, 5, 5, 5)] * 2
            assert all(
                logprob <= 0 for found in generation.completions for logprob in found.logprobs
            )
            assert (generation.usage.prompt_tokens, generation.usage.generated_tokens) == (4, 8)
            assert 0 <= generation.usage.cached_prompt_tokens <= 4


@pytest.mark.parametrize(
    ("status", "text", "named"),
    [
        (
            "400 Bad Request",
            "This model's maximum context length is 3 tokens. However, you requested 6 tokens.",
            3,
        ),
        (
            "400 Bad Request",
            "The decoder prompt (length 6) is longer than the maximum model length of 3.",
            3,
        ),
        (
            "400 Bad Request",
            '{"error": {"code": "context_length_exceeded", "message": "too long"}}',
            0,
        ),
        (
            "422 Unprocessable Entity",
            '{"error": "`inputs` tokens + `max_new_tokens` must be <= 3"}',
            0,
        ),
        ("400 Bad Request", "Input is too long for requested model.", 0),
        ("422 Unprocessable Entity", "the request exceeds the available context size", 0),
        ("413 Content Too Large", "<html>nginx</html>", 0),
        (
            "400 Bad Request",
            "This model's maximum context length is 3 tokens, and the input has 4,096 tokens.",
            3,
        ),
        (
            "400 Bad Request",
            "Input validation error: `inputs` must have less than 4 tokens. Given: 6",
            0,
        ),
        (
            "400 Bad Request",
            "Input length (6 tokens) exceeds the maximum allowed length (3 tokens). Use a shorter "
            "input.",
            0,
        ),
        ("400 Bad Request", "input length and `max_tokens` exceed context limit: 2 + 4 > 3", 0),
        (
            "400 Bad Request",
            "Input tokens exceed the configured limit of 3 tokens. Your messages resulted in 6 "
            "tokens.",
            0,
        ),
        ("400 Bad Request", "The sequence length exceeds the max_seq_len of 3 tokens", 0),
        ("400 Bad Request", "inputs are too long", 0),
    ],
)
async def test_a_request_too_long_for_the_server_is_no_engine_error(
    status: str, text: str, named: int, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine_on(
        tiny_model_folder, monkeypatch, constant(text.encode(), status=status)
    ) as engine:
        with pytest.raises(ContextLengthError) as caught:
            await engine.generate(REQUEST)
        assert not isinstance(caught.value, EngineError)
        assert (
            caught.value.prompt_tokens,
            caught.value.max_tokens,
            caught.value.context_length,
        ) == (2, 4, named)


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 4096 tokens.",
        "Unsupported parameter: 'max_tokens' is not supported with this model; use "
        "'max_completion_tokens'",
        "list index out of range",
        "This model's maximum context length is 4,096 tokens.",
        "Your request exceeds your monthly quota of tokens",
        "request exceeds the rate limit: 100000 tokens",
        "request exceeds maximum allowed n",
        "The request exceeds your credit balance",
        "input exceeds 4 stop sequences",
        "rate_limit: the maximum input tokens are 40000 per minute",
        "Request too large on tokens per minute (TPM): Limit 5, Requested 6, please reduce the "
        "input tokens.",
        "Budget has been exceeded! Current cost: 0.0001, Max budget: 1e-05",
    ],
)
async def test_a_refusal_for_another_reason_is_an_engine_error(
    text: str, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = constant(text.encode(), status="400 Bad Request")
    async with engine_on(tiny_model_folder, monkeypatch, refusal) as engine:
        with pytest.raises(EngineError):
            await engine.generate(REQUEST)


@pytest.mark.parametrize(
    ("status", "type_of_error"),
    [(401, EngineUnavailableError), (403, EngineUnavailableError), (404, EngineUnavailableError)],
)
async def test_a_wrong_configuration_is_unavailable(
    status: int,
    type_of_error: type[EngineError],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine_on(
        tiny_model_folder, monkeypatch, constant(b"no", status=f"{status} No")
    ) as engine:
        with pytest.raises(type_of_error, match=r"engine\.(api_key_env|base_url)"):
            await engine.generate(REQUEST)


async def test_logprobs_that_were_not_asked_for_are_nan(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def reply(path: str, request: dict[str, Any]) -> bytes:
        asked.append(request["logprobs"])
        return http(json.dumps(completion(request)).encode())

    async with engine_on(tiny_model_folder, monkeypatch, reply) as engine:
        generation = await engine.generate(
            GenerateRequest((5, 6), n=2, max_tokens=4, logprobs=False)
        )
        assert asked == [None]
        assert all(
            math.isnan(logprob) for found in generation.completions for logprob in found.logprobs
        )
        assert [len(found.logprobs) for found in generation.completions] == [4, 4]


JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**63,
        10**400,
        0.0,
        -0.5,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        float("-inf"),
    ),
    *(
        "",
        "0",
        "stop",
        "abort",
        SECRET,
        "\ud800",
        [],
        [[]],
        [None],
        [0],
        [-1.0],
        ["a"],
        {},
        {"a": 1},
        {"0": None},
    ),
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the place of every value inside plain data."""
    yield at
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from paths(item, (*at, key))


def test_any_junk_in_any_place_is_malformed_or_harmless() -> None:
    request = {
        "max_tokens": 3,
        "n": 2,
        "temperature": 1.0,
        "prompt": [5, 6],
        "logprobs": 1,
        "logprob_token_ids": [7],
    }
    expected = Expected(prompt_tokens=2, vocabulary_size=100, n=2, max_tokens=3, candidates=(7,))
    read = 0
    for place in paths(good(request)):
        for junk in JUNK:
            answer: Any = {"": good(request)}
            found = answer
            for key in ("", *place)[:-1]:
                found = found[key]
            found[("", *place)[-1]] = junk
            reply = Reply(200, "application/json", "utf-8", Hidden(json.dumps(answer[""]).encode()))
            try:
                completions = read_completions(reply, expected)
            except (MalformedError, AbortedError) as error:
                assert SECRET not in str(error)
                continue
            read += 1
            assert completions.usage == Usage(4, completions.usage.cached_prompt_tokens, 6, 1)
            assert len(completions.choices) == 2
            for choice in completions.choices:
                assert (
                    len(choice.token_ids) == len(choice.logprobs) == 3 and len(choice.scores) == 1
                )
                assert all(type(token) is int and 0 <= token < 100 for token in choice.token_ids)
                assert all(
                    type(number) is float and -1e9 <= number <= 0
                    for number in (*choice.logprobs, *choice.scores)
                )
    assert read > 0


def test_the_excerpt_shows_what_helps() -> None:
    assert "Welcome to nginx" in excerpt(b"<html><h1>Welcome to nginx</h1>")
    assert "out of memory" in excerpt(b'{"error": {"message": "out of memory"}}')
    shown = excerpt(
        json.dumps({"choices": [{"text": SECRET, "token_ids": [123, 456]}], "usage": None}).encode()
    )
    assert all(key in shown for key in ("choices", "text", "token_ids", "usage"))
    assert not any(value in shown for value in (SECRET, "123", "456"))


@pytest.mark.parametrize(
    "spelled_key",
    [
        KEY,
        f"Bearer {KEY}",
        "sk-proj-abcdefghijkl",
        "hf_abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "api_key=hunter2hunter2",
        "0123456789abcdef0123456789abcdef",
        "123e4567-e89b-42d3-a456-426614174000",
        "http://user:hunter2hunter2@host/",
        "sk-\x00hostile-0123456789abcdefgh",
    ],
)
@pytest.mark.parametrize(
    "form",
    ["plain {}", "<p>{}</p>", '{{"error": {{"message": "wrong key {}"}}}}', '{{"detail": "{}"}}'],
)
def test_the_excerpt_masks_whatever_looks_like_a_key(spelled_key: str, form: str) -> None:
    shown = excerpt(form.format(spelled_key).encode(), secrets=[KEY])
    kept = (
        spelled_key.replace("\x00", "")
        .removeprefix("Bearer ")
        .removeprefix("api_key=")
        .removeprefix("http://user:")
        .removesuffix("@host/")
    )
    assert kept not in shown and kept[4:] not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10**6,
        b'"' * 10**6,
        b"\\" * 10**6,
        b"a" * 10**6,
        b"a1" * 10**6,
        b"{'" * 10**6,
        b"\xff" * 10**6,
        b"a:=" * 10**6,
    ],
)
def test_an_excerpt_of_anything_is_short(body: bytes) -> None:
    assert len(excerpt(body)) <= MOST_CHARACTERS


def test_keys_and_thoughts_are_in_no_excerpt_at_any_cut() -> None:
    body = json.dumps(
        good({"max_tokens": 4, "n": 2, "temperature": 1.0, "prompt": [5, 6], "logprobs": 0})
    ).encode()
    for end in range(len(body)):
        assert "hidden" not in excerpt(body[:end]) and "thought" not in excerpt(body[:end])
