"""Records what a real server replies to the probe, and plays it back.

    python -m tests.agents.engines.openai.recording URL MODEL FILE "NAME VERSION, MODEL"

A file holds the server's name and version and, for each request of the probe, status
and body of the reply. Record it again when the probe changes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from agents.engines.openai.chat_replies import ChatExpected, ChatReply, read_chat
from agents.engines.openai.probe import ChatProbe
from agents.engines.openai.replies import MalformedError, Reply
from agents.types import Hidden

FOLDER = Path(__file__).parent / "recorded"
_UNREAD = (
    "model",
    "timings",
    "id",
    "created",
    "system_fingerprint",
    "service_tier",
    "kv_transfer_params",
)


def as_reply(status: int, body: Any) -> Reply:
    """Returns a JSON reply."""
    return Reply(status, "application/json", "utf-8", Hidden(json.dumps(body).encode()))


def read(status: int, body: Any, expected: ChatExpected) -> ChatReply | None:
    """Returns the content of a reply; None for a refusal."""
    if status != 200:
        return None
    try:
        return read_chat(as_reply(status, body), expected)
    except MalformedError:
        return None


class Recording:
    """The replies in a file."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text())
        self.server: str = content["server"]
        self._replies = {_key(one["request"]): one for one in content["replies"]}

    async def ask(self, fields: Mapping[str, Any], expected: ChatExpected) -> ChatReply | None:
        """Returns the recorded reply to a request of the probe."""
        found = self._replies[_key(fields)]
        return read(found["status"], found["body"], expected)


def _key(fields: Mapping[str, Any]) -> str:
    return json.dumps(dict(fields), sort_keys=True)


async def record(url: str, model: str, path: Path, server: str) -> None:
    """Runs the probe on a server, and writes its requests and their replies."""
    replies: dict[str, dict[str, Any]] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:

        async def ask(fields: Mapping[str, Any], expected: ChatExpected) -> ChatReply | None:
            async with session.post(
                f"{url}/chat/completions", json={"model": model, **fields}
            ) as response:
                status, body = response.status, await response.json()
            kept = {name: value for name, value in body.items() if name not in _UNREAD}
            replies[_key(fields)] = {"request": dict(fields), "status": status, "body": kept}
            return read(status, body, expected)

        print(await ChatProbe(ask).find())
    rows = ",\n".join(json.dumps(one) for one in replies.values())
    path.write_text(f'{{"server": {json.dumps(server)},\n"replies": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
