"""LangSmith's tracing, sent to an endpoint of the test's own: it sees questions,
answers and counters, and no word of a thought.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import zstandard

from tests.graphs.reasoner.test_graph import ROOT

QUESTION = "Compute (19 + 8) * 8."
STEP, CHECK, REFLECTION = "zq7stepzq7", "zq7checkzq7", "zq7reflectionzq7"

RUN = f"""
import asyncio
from langchain_core.tracers.langchain import wait_for_all_tracers
from agents.types import EngineError
from agents.roles.summarizer import Summary
from graphs import Context, create_reasoner
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from tests.graphs.reasoner.test_graph import resources_for

class Silent:
    async def summarize(self, *args, **options):
        return Summary("zq7summaryzq7", "none")

def reply(prompt, index, rng):
    if prompt.endswith("<|verify|>"):
        return "{CHECK}<|wrong|>"
    if prompt.endswith("<|reflector|>"):
        return "{REFLECTION}. backtrack to step 0."
    return "<|propose|>{STEP}\\n\\n<|conclude|>Answer: 216"

async def main():
    for options in ({{}}, {{"die_after": 4}}):
        words = ("reflector.kind=model", "budget.max_calls=12")
        async with resources_for(*words, **options) as (key, traces, resources):
            resources.summarizer, resources.engine._reply = Silent(), reply
            try:
                chat = create_reasoner().compile(checkpointer=InMemorySaver())
                thread = {{"configurable": {{"thread_id": "1"}}}}
                messages = [HumanMessage({QUESTION!r})]
                for asked in ({{"question": {QUESTION!r}}}, {{"messages": messages}}):
                    await chat.ainvoke(asked, thread, context=Context(resources=key))
            except EngineError as error:
                print(type(error).__name__)
            for trace in traces:
                thought = " ".join(segment.text.reveal() for segment in trace.long_thought.segments)
                reflected = [event for event in trace.events if hasattr(event, "reflection")]
                events = " ".join(str(event.reflection.text.reveal()) for event in reflected)
                verdicts = [event.verdict for event in trace.events if hasattr(event, "verdict")]
                reasons = [verdict.reason.reveal() for verdict in verdicts if verdict.reason]
                print(thought, events, *reasons)

asyncio.run(main())
wait_for_all_tracers()
"""


@contextmanager
def endpoint(info: dict[str, Any]) -> Iterator[tuple[str, list[bytes]]]:
    """Yields the address of a server that answers as LangSmith's does, and the list of
    what is posted to it, decompressed.
    """
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(json.dumps(info).encode())

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            match self.headers.get("Content-Encoding"):
                case "zstd":
                    body = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read()
                case "gzip":
                    body = gzip.decompress(body)
            posted.append(body)
            self._answer(b"{}")

        do_PATCH = do_POST

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Is quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BATCHES = {
    "size_limit": 100,
    "size_limit_bytes": 20_000_000,
    "scale_up_nthreads_limit": 2,
    "scale_up_qsize_trigger": 1000,
    "scale_down_nempty_trigger": 4,
}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "compressed": {
        "instance_flags": {"zstd_compression_enabled": True},
        "batch_ingest_config": {**BATCHES, "use_multipart_endpoint": True},
    },
    "multipart": {
        "instance_flags": {},
        "batch_ingest_config": {**BATCHES, "use_multipart_endpoint": True},
    },
    "batches": {
        "instance_flags": {},
        "batch_ingest_config": {**BATCHES, "use_multipart_endpoint": False},
    },
}


@pytest.mark.parametrize("info", PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_tracing_sees_no_word_of_a_thought(info: dict[str, Any]) -> None:
    with endpoint({"version": "0.13.0", **info}) as (address, posted):
        variables = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": address,
            "LANGSMITH_API_KEY": "none",
            "LANGSMITH_PROJECT": "test",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            env=os.environ | variables,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert all(canary in done.stdout for canary in (STEP, CHECK, REFLECTION, "EngineDiedError")), (
        "the canaries were in the thought"
    )
    seen = b"".join(posted)
    for name in (QUESTION, "zq7summaryzq7", "critique", "EngineDiedError"):
        assert name.encode() in seen, (
            "the endpoint was reached, and what is no secret can be read there"
        )
    for canary in (STEP, CHECK, REFLECTION):
        assert canary.encode() not in seen
