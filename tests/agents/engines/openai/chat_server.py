"""A small chat server with a language model of its own, in the dialect of a `Flavour`.

The model draws the next token by a hash of all tokens before it, so the same text has
the same continuation, whichever request it comes from. Its tokens are those of
`TextTokenizer`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from agents.engines.openai.text_tokenizer import TextTokenizer

WORDS = (" a", " sum", " of", " two", " is", " 12", " 7", ".", "\n", " so", " then", " é")
EOS = 0
STANDARD = {
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "logprobs",
    "top_logprobs",
    "presence_penalty",
    "frequency_penalty",
}
"""Fields that a strict server takes."""


@dataclass
class Flavour:
    """What a server offers and how it replies; by default everything, as vLLM does."""

    continuation: str = "flag"
    echoes: bool = False
    trims: bool = False
    """Whether the template strips the assistant's messages."""
    system_messages: bool = True
    several: bool = True
    most_alternatives: int = 20
    stop: str = "named"
    """named, kept, or stripped without a trace."""
    seed: bool = True
    takes_seed: bool = True
    usage: bool = True
    thought: str = ""
    """Text of the reasoning field."""
    thought_field: str = "reasoning"
    is_strict: bool = False
    limit: str = "max_tokens"
    context: int | None = 512
    """Context length that the server reports."""
    most_prompt: int = 1 << 20
    """Longest prompt that it takes."""


@dataclass
class ChatServer:
    """Serves the model; `flavour` may be changed while it runs."""

    flavour: Flavour = field(default_factory=Flavour)
    requests: list[dict[str, Any]] = field(default_factory=list)
    tokenizer: TextTokenizer = field(default_factory=TextTokenizer)
    counter: random.Random = field(default_factory=lambda: random.Random(0))

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "words", "max_model_len": self.flavour.context}]})

    async def chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        await asyncio.sleep(0)
        refusal = self._refusal(body)
        if refusal:
            return web.json_response({"error": {"message": refusal}}, status=400)
        return web.json_response(self._reply(body))

    def _refusal(self, body: dict[str, Any]) -> str:
        flavour = self.flavour
        if flavour.limit not in body:
            return f"{flavour.limit} is missing"
        if flavour.is_strict and (unknown := set(body) - STANDARD):
            return f"unknown fields {sorted(unknown)}"
        if "seed" in body and not flavour.takes_seed:
            return "seed is not supported"
        if body.get("n", 1) > 1 and not flavour.several:
            return "n must be 1"
        if body.get("top_logprobs", 0) > flavour.most_alternatives or (
            body.get("logprobs") and not flavour.most_alternatives
        ):
            return "too many top_logprobs"
        size = len(self._prompt(body)[0])
        if size > flavour.most_prompt:
            return f"the prompt exceeds the context length of {flavour.most_prompt} tokens"
        if not flavour.system_messages and body["messages"][0]["role"] == "system":
            return "System role not supported"
        return ""

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt, beginning = self._prompt(body)
        most = body[self.flavour.limit]
        drawn = [self._sample(body, prompt, most, index) for index in range(body.get("n", 1))]
        choices = [self._choice(body, index, beginning, *one) for index, one in enumerate(drawn)]
        reply: dict[str, Any] = {"object": "chat.completion", "choices": choices}
        if self.flavour.usage:
            reply["usage"] = {
                "prompt_tokens": len(prompt),
                "completion_tokens": sum(len(tokens) for tokens, _ in drawn),
            }
        return reply

    def _prompt(self, body: dict[str, Any]) -> tuple[list[int], str]:
        """Returns the prompt's tokens, and the beginning of the turn that it ends
        with.
        """
        *before, last = body["messages"]
        continues = {
            "flag": body.get("continue_final_message") is True,
            "trailing": True,
            "prefix": last.get("prefix") is True,
            "none": False,
        }[self.flavour.continuation]
        if last["role"] != "assistant" or not continues:
            return self.tokenizer.apply_chat_template([*before, last]), ""
        shown = last["content"].rstrip() if self.flavour.trims else last["content"]
        ids = self.tokenizer.apply_chat_template(before) + self.tokenizer.encode(shown)
        return ids, last["content"]

    def _sample(
        self, body: dict[str, Any], prompt: list[int], most: int, index: int
    ) -> tuple[list[int], list[dict[int, float]]]:
        """Returns the tokens of a completion, and the log-probabilities of all tokens
        in each place.
        """
        seed = body.get("seed") if self.flavour.seed else None
        rng = random.Random(f"{self.counter.random() if seed is None else seed} {index}")
        temperature = body["temperature"]
        tokens: list[int] = []
        tables: list[dict[int, float]] = []
        while len(tokens) < most and EOS not in tokens:
            logits = self._logits([*prompt, *tokens])
            for token in set(prompt + tokens) & set(logits):
                logits[token] /= body.get("repetition_penalty", 1.0)
            table = _softmax(logits, temperature or 1.0)
            allowed = dict(sorted(table.items(), key=lambda one: -one[1]))
            if top_k := body.get("top_k"):
                allowed = dict(list(allowed.items())[:top_k])
            least = max(allowed.values()) + math.log(body.get("min_p") or 1e-9)
            allowed = {token: value for token, value in allowed.items() if value >= least}
            weights = [math.exp(value) for value in allowed.values()]
            drawn = rng.choices(list(allowed), weights)[0]
            tokens.append(drawn if temperature else next(iter(allowed)))
            tables.append(table)
            text = self.tokenizer.decode(tokens)
            if any(stop in text for stop in body.get("stop", ())):
                break
        return tokens, tables

    def _logits(self, context: list[int]) -> dict[int, float]:
        seed = hashlib.blake2b(str(context).encode(), digest_size=8).digest()
        rng = random.Random(seed)
        logits = {self.tokenizer.encode(word)[0]: rng.uniform(4, 8) for word in WORDS}
        dot, newline = (self.tokenizer.encode(word)[0] for word in (".", "\n"))
        if context[-1] == dot or context[-2:] == [dot, newline]:
            logits[newline] += 6  # a sentence is a step
        return logits | {EOS: 4.5 if len(context) > 60 else 1.0}

    def _choice(
        self,
        body: dict[str, Any],
        index: int,
        beginning: str,
        tokens: list[int],
        tables: list[dict[int, float]],
    ) -> dict[str, Any]:
        text = self.tokenizer.decode(tokens)
        ended = tokens[-1] == EOS
        found = next((stop for stop in body.get("stop", ()) if stop in text), None)
        keeps = self.flavour.stop == "kept" or (
            self.flavour.stop == "named" and body.get("include_stop_str_in_output")
        )
        if found is not None:
            text = text[: text.index(found)] + (found if keeps else "")
        content = (beginning if self.flavour.echoes else "") + text
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if self.flavour.thought:
            message[self.flavour.thought_field] = self.flavour.thought
        choice: dict[str, Any] = {
            "index": index,
            "message": message,
            "finish_reason": "stop" if ended or found is not None else "length",
        }
        if self.flavour.stop == "named":
            choice["stop_reason"] = found
        if body.get("logprobs"):
            number = body.get("top_logprobs", 0)
            content_logprobs = [
                self._spelled(token, table, number)
                for token, table in zip(tokens, tables, strict=True)
            ]
            choice["logprobs"] = {"content": content_logprobs}
        return choice

    def _spelled(self, token: int, table: dict[int, float], number: int) -> dict[str, Any]:
        def one(which: int) -> dict[str, Any]:
            text = self.tokenizer.decode([which]) or "<|end|>"
            return {"token": text, "logprob": table[which], "bytes": [*text.encode()]}

        best = sorted(table, key=lambda which: -table[which])[:number]
        return one(token) | {"top_logprobs": [one(which) for which in best]}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serves on a free port and yields the base URL."""
        app = web.Application()
        app.add_routes(
            [web.get("/v1/models", self.models), web.post("/v1/chat/completions", self.chat)]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/v1"
        finally:
            await runner.cleanup()


def _softmax(logits: dict[int, float], temperature: float) -> dict[int, float]:
    scaled = {token: value / temperature for token, value in logits.items()}
    total = math.log(sum(math.exp(value) for value in scaled.values()))
    return {token: value - total for token, value in scaled.items()}
