"""A deterministic stand-in for a model, shipped for tests and dry runs.

It replies from a script or a function, and obeys every other law of an engine: token
ids in and out, stop strings, limits, log-probabilities, a simulated prefix cache, death
on demand. A script raises ScriptError when it runs out or when a prompt does not match
the rule. Nothing is random: sample i of a prompt is a function of (prompt, seed, i)
alone, and no seed means seed 0.

    engine = ScriptedEngine.from_function(
        lambda prompt, sample_index, rng: rng.choice([" yes", " no"])
    )
"""

from __future__ import annotations

import asyncio
import math
import random
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.engines.base import (
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    NextTokenScores,
    check_request,
    check_score,
)
from agents.engines.gate import Gate
from agents.engines.scripted.tokenizer import DEFAULT_SPECIAL_TOKENS, ScriptedTokenizer
from agents.engines.stopping import find_ending
from agents.engines.weights import hash_text, hash_weights, tensor_shapes
from agents.objects import load_object
from agents.types import EngineError, Usage

Reply = Callable[[str, int, random.Random], str]
"""(prompt text with special tokens spelled out, sample index, random generator of that
sample) -> text of the completion."""
Score = Callable[[str, str], float]
"""(prompt text, candidate text) -> log-probability of the candidate as the next token,
in nats."""

_BLOCK_TOKENS = 16  # block size of the simulated prefix cache


class ScriptError(EngineError):
    """A script ran out, or a request does not match its rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The reply to one request. Exactly one of `reply` and `scores` is given."""

    reply: str | Sequence[str] | None = None
    """The completion's text, the same for all n samples, or one text per sample."""
    scores: Mapping[str, float] | None = None
    """For a `score` request: log-probability by candidate text, in nats."""
    match: str | None = None
    """Text that must occur in the prompt; None: any prompt."""

    def __post_init__(self) -> None:
        if (self.reply is None) == (self.scores is None):
            raise ValueError("a rule needs exactly one of reply and scores")


class ScriptedEngine:
    """Generator and Publisher without a model. `publish` changes the log-probabilities
    but not the replies.
    """

    @classmethod
    async def open(cls, **options: Any) -> ScriptedEngine:
        """Returns an engine; a function given by its name is imported in a thread."""
        return await asyncio.to_thread(lambda: cls(**options))

    def __init__(
        self,
        *,
        script: Sequence[Rule | Mapping[str, Any]] = (),
        function: Reply | str | None = None,
        score: Score | None = None,
        special_tokens: Sequence[str] | None = None,
        context_length: int = 4096,
        latency_s: float = 0.0,
        die_after: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Makes an engine that follows a script or a function.

        Args:
            script: rules (or mappings with a rule's fields); request i uses rule i.
            function: a reply function; or "package.module:name" of one, or of an object
                with `reply` and optionally `score` and `special_tokens`.
            score: answers `score` requests; None: a fixed pseudo-random number per
                (last prompt token, candidate).
            special_tokens: texts that are one token each; None: those of the function's
                object, or else the marks of the chat template.
            context_length: maximum length of prompt plus completion, in tokens.
            latency_s: duration of a request, in seconds.
            die_after: the engine dies at the request after this many; None: never.
            sleep: waits for `latency_s`; tests pass their own.

        Raises:
            ValueError: not exactly one of script and function is given, or the function
                cannot be found.
        """
        if bool(script) == (function is not None):
            raise ValueError(
                "a scripted engine needs exactly one of script and function; set engine.script or "
                "engine.function"
            )
        self.version = 0
        self._rules = [rule if isinstance(rule, Rule) else Rule(**rule) for rule in script]
        self._rules_used = 0
        found = load_object(function, "engine.function") if isinstance(function, str) else function
        self._reply: Reply | None = getattr(found, "reply", found)
        self._score: Score | None = score or getattr(found, "score", None)
        if special_tokens is None:
            special_tokens = getattr(found, "special_tokens", DEFAULT_SPECIAL_TOKENS)
        self.tokenizer = ScriptedTokenizer(special_tokens)
        self._latency_s = latency_s
        self._die_after = die_after
        self._sleep = sleep
        self._requests = 0
        self._weights = b""
        self._cache: set[int] = set()
        self._gate = Gate("the scripted engine")
        name = function if isinstance(function, str) else "function" if function else "script"
        self.info = EngineInfo(
            kind="scripted",
            model=f"scripted/{name}",
            model_hash=hash_text(f"{name} {self._rules}"),
            tokenizer_hash=hash_text("".join(self.tokenizer.special_tokens)),
            context_length=context_length,
        )

    @classmethod
    def from_function(
        cls, reply: Reply, *, score: Score | None = None, **options: Any
    ) -> ScriptedEngine:
        """Returns an engine that answers every request with the result of `reply`."""
        return cls(function=reply, score=score, **options)

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended."""
        return self._gate.in_flight

    @property
    def rules_left(self) -> int:
        """Number of unused rules; a test asserts that it is 0."""
        return len(self._rules) - self._rules_used

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions. Raises ScriptError in addition to the errors
        of `Generator`.
        """
        check_request(request, self.info, self.tokenizer.vocabulary_size)
        return await self._gate.run(lambda: self._generate(request))

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each candidate. Raises ScriptError in addition
        to the errors of `Generator`.
        """
        check_score(prompt, candidates, self.info, self.tokenizer.vocabulary_size)
        return await self._gate.run(lambda: self._score_candidates(tuple(prompt), candidates))

    async def publish(self, folder: Path) -> int:
        """Takes the safetensors files of `folder` as new weights; the log-probabilities
        depend on their hash.
        """
        tensor_shapes(folder := Path(folder))
        async with self._gate.exclusive():
            self._weights = hash_weights(folder).encode()
            self._cache.clear()
            self.info = replace(self.info, model_hash=hash_weights(folder))
            self.version += 1
        return self.version

    async def reset_cache(self) -> bool:
        """Empties the simulated prefix cache."""
        async with self._gate.exclusive():
            self._cache.clear()
        return True

    async def close(self) -> None:
        """Shuts the engine."""
        await self._gate.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        texts = self._next_reply(request)
        await self._wait_or_die()
        completions = tuple(self._complete(request, text) for text in texts)
        usage = self._count(request.prompt, [completion.token_ids for completion in completions])
        return Generation(completions, usage, self.version)

    async def _score_candidates(
        self, prompt: tuple[int, ...], candidates: Sequence[int]
    ) -> NextTokenScores:
        text = self.tokenizer.decode(prompt, skip_special_tokens=False)
        names = [self.tokenizer.decode([token], skip_special_tokens=False) for token in candidates]
        if self._rules:
            scores = self._next_rule(text, "scores").scores or {}
            if missing := [name for name in names if name not in scores]:
                raise ScriptError(
                    f"rule {self._rules_used - 1} of the script has no score for {missing}; it has "
                    f"{list(scores)}"
                )
            logprobs = [scores[name] for name in names]
        elif self._score is not None:
            logprobs = [self._score(text, name) for name in names]
        else:
            logprobs = [self._logprob(prompt[-1], token) for token in candidates]
        if max(logprobs) > 0:
            raise ValueError(
                f"a scripted score is {max(logprobs)}; log-probabilities are at most 0"
            )
        await self._wait_or_die()
        return NextTokenScores(tuple(logprobs), self._count(prompt, [(candidates[0],)]))

    async def _wait_or_die(self) -> None:
        """Waits for `latency_s`, or kills the engine after `die_after` requests."""
        self._requests += 1
        if self._die_after is not None and self._requests > self._die_after:
            raise self._gate.shut(f"died as configured (die_after={self._die_after})")
        if self._latency_s > 0:
            await self._sleep(self._latency_s)

    def _next_reply(self, request: GenerateRequest) -> list[str]:
        text = self.tokenizer.decode(request.prompt, skip_special_tokens=False)
        if self._reply is not None:
            seed = 0 if request.seed is None or request.temperature == 0 else request.seed
            rngs = [
                random.Random(hash_text(f"{seed} {i} {request.prompt}")) for i in range(request.n)
            ]
            return [self._reply(text, i, rng) for i, rng in enumerate(rngs)]
        reply = self._next_rule(text, "reply").reply
        if isinstance(reply, str):
            return [reply] * request.n
        if reply is None or len(reply) != request.n:
            raise ScriptError(
                f"rule {self._rules_used - 1} has {len(reply or ())} replies for a request of "
                f"n={request.n} samples"
            )
        return list(reply)

    def _next_rule(self, prompt_text: str, wanted: str) -> Rule:
        number, tail = self._rules_used, prompt_text[-200:]
        if number >= len(self._rules):
            raise ScriptError(
                f"the script of {len(self._rules)} rules ran out; the next request needs {wanted}, "
                f"its prompt ends {tail!r}"
            )
        rule = self._rules[number]
        if rule.match is not None and rule.match not in prompt_text:
            raise ScriptError(
                f"rule {number} of the script expects {rule.match!r} in the prompt, which ends "
                f"{tail!r}"
            )
        if getattr(rule, wanted) is None:
            raise ScriptError(
                f"rule {number} of the script has no {wanted}, which the request needs; its prompt "
                f"ends {tail!r}"
            )
        self._rules_used += 1
        return rule

    def _complete(self, request: GenerateRequest, reply: str) -> Completion:
        token_ids: list[int] = []
        logprobs: list[float] = []
        previous = request.prompt[-1]
        for token in (*self.tokenizer.encode(reply), self.tokenizer.eos_token_id):
            token_ids.append(token)
            logprobs.append(self._logprob(previous, token) if request.logprobs else math.nan)
            previous = token
            text = self.tokenizer.decode(token_ids) if request.stop else ""
            if ending := find_ending(token_ids, text, request, (self.tokenizer.eos_token_id,)):
                text = ending.text if request.stop else self.tokenizer.decode(token_ids)
                return Completion(
                    text,
                    tuple(token_ids),
                    tuple(logprobs),
                    ending.finish_reason,
                    ending.stop_reason,
                )
        raise AssertionError("unreachable: the end-of-sequence token ends every completion")

    def _logprob(self, previous: int, token: int) -> float:
        """Returns a fixed number in [-0.6, 0), a hash of both tokens and the published
        weights; above log(1/2), the reply's token is always the most likely one.
        """
        return -0.6 * (zlib.crc32(self._weights + b"%d %d" % (previous, token)) + 1) / 2**32

    def _count(self, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> Usage:
        """Returns the usage of a request and adds its blocks to the simulated cache."""
        found = 0
        for block in _block_chain(prompt[:-1]):  # the last token is always computed
            if block not in self._cache:
                break
            found += _BLOCK_TOKENS
        for completion in completions:
            self._cache.update(_block_chain((*prompt, *completion[:-1])))
        # the first sample computes the blocks that are not cached; the others find them
        full_blocks = (len(prompt) - 1) // _BLOCK_TOKENS * _BLOCK_TOKENS
        cached = found + (len(completions) - 1) * full_blocks
        return Usage(
            len(completions) * len(prompt),
            cached,
            sum(len(completion) for completion in completions),
            1,
        )


def _block_chain(token_ids: Sequence[int]) -> Iterator[int]:
    """Yields one hash per full block; it covers the block and all blocks before it."""
    chain = 0
    for start in range(0, len(token_ids) - _BLOCK_TOKENS + 1, _BLOCK_TOKENS):
        chain = hash((chain, *token_ids[start : start + _BLOCK_TOKENS]))
        yield chain
