"""An engine of one's own: an n-gram model of bytes, counted with numpy.

Each order is smoothed with the distribution of the order below it. Source: MacKay and
Peto, "A hierarchical Dirichlet language model" (1995), with one fixed weight.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.engines import Completion, EngineInfo, GenerateRequest, Generation, NextTokenScores
from agents.engines.base import check_request, check_score, spread_seed
from agents.engines.control_tokens import ControlTokens
from agents.engines.gate import Gate
from agents.engines.stopping import find_ending
from agents.engines.weights import hash_text
from agents.types import Usage

Floats = NDArray[np.float64]

CORPUS = "\n".join(
    f"{n} and {n} are to be added, and their sum is {2 * n}. Answer: {2 * n}" for n in range(1, 60)
)
MARKS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
VOCABULARY = 256 + len(MARKS)
WEIGHT = 0.1  # pseudo-counts that the order below gets


class Bytes:
    """A tokenizer: a token is a byte or a mark."""

    eos_token_id = 256

    def __init__(self) -> None:
        self._control = ControlTokens(MARKS)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        for number, mark in enumerate(MARKS):
            if mark in text:
                before, _, after = text.partition(mark)
                return [*self.encode(before), 256 + number, *self.encode(after)]
        return list(text.encode(errors="replace"))

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        kept = [token for token in token_ids if token < 256 or not skip_special_tokens]
        pieces = [bytes([token]) if token < 256 else MARKS[token - 256].encode() for token in kept]
        return b"".join(pieces).decode(errors="replace")

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        return self._control.encode(render, data, self.encode)

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        def render(texts: Sequence[str]) -> str:
            turns = zip(messages, texts, strict=True)
            said = (f"<|{message['role']}|>{text}<|end|>" for message, text in turns)
            return "".join(said) + "<|assistant|>"

        return self.encode_template(render, [message["content"] for message in messages])


class Ngrams:
    """A Generator over the counts of each context of at most `order` tokens."""

    def __init__(self, corpus: str, order: int) -> None:
        self.tokenizer = Bytes()
        self.order = order
        self.counts: dict[tuple[int, ...], Floats] = {}
        for line in corpus.splitlines():
            ids = self.tokenizer.encode(f"<|assistant|>{line}<|end|>")
            for place in range(1, len(ids)):
                for length in range(min(order, place) + 1):
                    context = tuple(ids[place - length : place])
                    self.counts.setdefault(context, np.zeros(VOCABULARY))[ids[place]] += 1
        model = hash_text(f"{order} {corpus}")
        self.info = EngineInfo("ngrams", f"{order}-grams", model, hash_text(str(MARKS)), 1024)
        self._gate = Gate("the n-gram engine")

    @classmethod
    async def open(cls, *, corpus: str = CORPUS, order: int = 6) -> Ngrams:
        """Counts in a thread, so that the event loop is not blocked."""
        return await asyncio.to_thread(cls, corpus, order)

    @property
    def in_flight(self) -> int:
        return self._gate.in_flight

    async def generate(self, request: GenerateRequest) -> Generation:
        check_request(request, self.info, VOCABULARY)
        return await self._gate.run(lambda: self._generate(request))

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        check_score(prompt, candidates, self.info, VOCABULARY)
        return await self._gate.run(lambda: self._score(prompt, candidates))

    async def close(self) -> None:
        await self._gate.close()

    def next_token(self, ids: Sequence[int]) -> Floats:
        """Returns the probability of each token behind `ids`."""
        found = np.full(VOCABULARY, 1 / VOCABULARY)
        for length in range(min(self.order, len(ids)) + 1):
            counts = self.counts.get(tuple(ids[len(ids) - length :]))
            if counts is None:
                break
            found = (counts + WEIGHT * found) / (counts.sum() + WEIGHT)
        return found

    async def _score(self, prompt: Sequence[int], candidates: Sequence[int]) -> NextTokenScores:
        logprobs = np.log(self.next_token(prompt)[list(candidates)])
        return NextTokenScores(tuple(logprobs.tolist()), Usage(len(prompt), 0, 1, 1))

    async def _generate(self, request: GenerateRequest) -> Generation:
        seed = None if request.seed is None else spread_seed(request.seed)
        seeds = [None if seed is None else [seed, sample] for sample in range(request.n)]
        done = tuple([await self._sample(request, np.random.default_rng(one)) for one in seeds])
        generated = sum(len(completion.token_ids) for completion in done)
        return Generation(done, Usage(request.n * len(request.prompt), 0, generated, 1))

    async def _sample(self, request: GenerateRequest, rng: np.random.Generator) -> Completion:
        ids, logprobs = list[int](), list[float]()
        while True:
            await asyncio.sleep(0)  # where a cancelled request ends
            found = self.next_token([*request.prompt[-self.order :], *ids])
            found[list({*request.prompt, *ids})] **= request.repetition_penalty
            found = sampled(found, request)
            token = int(rng.choice(VOCABULARY, p=found) if request.temperature else found.argmax())
            ids.append(token)
            logprobs.append(min(math.log(found[token]), 0.0) if request.logprobs else math.nan)
            text = self.tokenizer.decode(ids)
            if ending := find_ending(ids, text, request, (self.tokenizer.eos_token_id,)):
                end = (ending.finish_reason, ending.stop_reason)
                return Completion(ending.text, tuple(ids), tuple(logprobs), *end)


def sampled(given: Floats, request: GenerateRequest) -> Floats:
    """Returns the distribution that is sampled: tempered, and what min_p, top_k and
    top_p leave of it.
    """
    found: Floats = np.power(given, 1 / (request.temperature or 1.0))
    order = np.argsort(-found, kind="stable")
    found[found < request.min_p * found.max()] = 0
    found[found < np.sort(found)[-(request.top_k or VOCABULARY)]] = 0
    before = np.cumsum(found[order]) - found[order]  # mass of the likelier tokens
    found[order[before >= request.top_p * found.sum()]] = 0
    return found / float(found.sum())
