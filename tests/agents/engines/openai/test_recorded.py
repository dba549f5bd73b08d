"""Replies of real servers, recorded, and replies written after published formats."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.engines.openai.chat_replies import ChatExpected, ServerUsage, read_chat
from agents.engines.openai.probe import ChatProbe
from agents.engines.openai.replies import MalformedError
from agents.types import Capabilities
from tests.agents.engines.openai.recording import FOLDER, Recording, as_reply

EVERYTHING = Capabilities(
    continuation="flag",
    keeps_whitespace=True,
    system_messages=True,
    several=True,
    logprobs=True,
    top_logprobs=20,
    stop="kept",
    seed=True,
    usage=True,
    sampling=("top_k", "min_p", "repetition_penalty"),
)
WRITTEN = json.loads((FOLDER / "not_recorded.json").read_text())["replies"]


@pytest.mark.parametrize("one", WRITTEN, ids=lambda one: f"{one['server']}: {one['case']}")
def test_replies_in_published_formats_are_read(one: dict[str, Any]) -> None:
    expected = one["expected"]
    reply = read_chat(as_reply(200, one["body"]), ChatExpected(max_tokens=64, usage=True))
    choice = reply.choices[0]
    assert choice.content == expected["content"] and choice.thought == expected["thought"]
    assert choice.finish_reason == expected["finish_reason"] and choice.stop == expected["stop"]
    assert reply.usage == ServerUsage(*expected["usage"])
    if one["body"]["choices"][0].get("logprobs"):
        assert choice.tokens is not None and choice.tokens[0].raw == b"Yes"
        assert dict(choice.tokens[0].top) == {"Yes": -0.25, "No": -1.5}


CHANGES: dict[str, tuple[str, Any]] = {
    "no message": ("message", None),
    "content is a list": ("message", {"content": ["It is 7."]}),
    "finish reason of another kind": ("finish_reason", "tool_calls"),
    "no finish reason": ("finish_reason", None),
    "an index too large": ("index", 1),
    "a positive logprob": ("logprobs", {"content": [{"token": "I", "logprob": 1.0}]}),
    "a logprob that is text": ("logprobs", {"content": [{"token": "I", "logprob": "-1"}]}),
    "bytes that are none": (
        "logprobs",
        {"content": [{"token": "I", "logprob": -1.0, "bytes": [300]}]},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_reply_with_a_wrong_field_is_malformed(name: str) -> None:
    field, value = CHANGES[name]
    body = json.loads(json.dumps(WRITTEN[0]["body"]))
    body["choices"][0][field] = value
    with pytest.raises(MalformedError):
        read_chat(as_reply(200, body), ChatExpected(max_tokens=64))


RECORDED = {
    "vllm": EVERYTHING,
    "litellm": EVERYTHING,
    # it repeats the beginning that it continues
    "llama_cpp": replace(EVERYTHING, echoes=True, stop="cut_here", sampling=("top_k", "min_p")),
}
"""What each recorded server offers."""


@pytest.mark.parametrize("name", RECORDED)
async def test_the_probe_finds_what_a_real_server_offers(name: str) -> None:
    recording = Recording(FOLDER / f"{name}.json")
    found = await ChatProbe(recording.ask).find()
    assert found is not None
    assert found[0] == RECORDED[name], recording.server
