"""Engine over HTTP: any server with an OpenAI-compatible /v1/completions that takes and
returns token ids, or several replicas of one.

Token ids and log-probabilities of given tokens are vLLM's extensions of that API
(`return_token_ids`, `logprob_token_ids`), so the server must be vLLM or support them;
`open` requests one token and reports what is missing. Start vLLM with `--logprobs-mode
processed_logprobs --enable-prompt-tokens-details --block-size 32`, on CPU also
`--no-enable-chunked-prefill`, as `agents.engines.vllm.server` does:

- With vLLM's default, raw log-probabilities, `info.logprobs_mode` is "raw": the
  log-probabilities are correct at temperatures 0 and 1 only.
- Without prompt token details the usage has no cached tokens. With n > 1 the server
  reports the cached tokens of the sample that ended last, which finds the prefix that
  the first sample has computed. They are counted for all n, so `cached` is an upper
  bound, too large by at most one prefix.

Requests beyond `max_in_flight` wait in this process, ordered by `priority`. The
priority is not sent, since vLLM refuses it unless started with `--scheduling-policy
priority`: the server itself runs requests in order of arrival.

The fields of each reply are checked (agents.engines.openai.replies). A malformed reply
raises BadReplyError, which shows its beginning without keys and completions
(agents.engines.openai.redaction). Server failures are retried for `retry_s` seconds
(agents.engines.openai.replicas).

Adapters are models of the server (`--enable-lora --lora-modules NAME=FOLDER`). On CPU
set `--max-loras` to their number plus one; otherwise requests without an adapter are
computed with one (see agents.engines.vllm.engine).

`publish` needs VLLM_SERVER_DEV_MODE=1 on the server, a folder that the server sees
under the same path, and no other client that sends requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from agents.engines.adapters import refuse_publication
from agents.engines.base import (
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    NextTokenScores,
    check_request,
    check_score,
    spread_seed,
)
from agents.engines.gate import Gate
from agents.engines.openai.connection import Connection, connect
from agents.engines.openai.replicas import (
    AllReplicasDeadError,
    Replica,
    Replicas,
    TooLongError,
    TryAgainError,
)
from agents.engines.openai.replies import (
    Completions,
    Expected,
    Reply,
    ReplyChoice,
    read_completions,
    read_nothing,
    read_success,
)
from agents.engines.stopping import served_completion
from agents.engines.tokenizer import HFTokenizer, eos_token_ids
from agents.engines.weights import (
    check_same_architecture,
    count_parameters,
    hash_weights,
    read_config,
    recommended_sampling,
    tensor_shapes,
)
from agents.types import ContextLengthError, EngineError, EngineUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ANY_VOCABULARY = 1 << 31  # size used by the probe, before the vocabulary is known
# The server would take these from the model's generation_config.json otherwise.
_DEFAULT_SAMPLING = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
_AS_TOKEN_IDS = {"return_token_ids": True, "return_tokens_as_token_ids": True}


class OpenAIEngine:
    """Generator and Publisher over HTTP. Create it with `open`."""

    def __init__(
        self,
        replicas: Replicas,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        *,
        vocabulary_size: int,
        max_in_flight: int,
        folder: Path | None,
    ) -> None:
        """`vocabulary_size`: exclusive upper bound of token ids, sent and received."""
        self.info = info
        self.tokenizer = tokenizer
        self.version = 0
        self._replicas = replicas
        self._vocabulary_size = vocabulary_size
        self._folder = folder
        self._eos = eos_token_ids(tokenizer, folder)
        self._gate = Gate(f"the server of {info.model}", limit=max_in_flight)

    @classmethod
    async def open(
        cls,
        *,
        tokenizer: str | None = None,
        context_length: int | None = None,
        max_in_flight: int = 256,
        **connecting: Any,
    ) -> OpenAIEngine:
        """Connects to a running server; it must take and return token ids.

        Args:
            tokenizer: folder or hub id; None: the model path that the server reports.
            context_length: maximum length of prompt plus completion, in tokens; None:
                the length that the server reports.
            max_in_flight: maximum number of requests in flight, over all replicas; the
                others wait in this process.
            connecting: keywords of `connect`.

        Raises:
            EngineUnavailableError: see `connect`; or a replica lacks a needed feature.
            ValueError: see `connect`.
        """
        connection = await connect(**connecting)
        try:
            own = await asyncio.to_thread(HFTokenizer, tokenizer or connection.root)
            return await cls.on(connection, own, context_length, max_in_flight)
        except BaseException:
            await connection.replicas.close()
            raise

    @classmethod
    async def on(
        cls,
        connection: Connection,
        tokenizer: HFTokenizer,
        context_length: int | None,
        max_in_flight: int,
    ) -> OpenAIEngine:
        """Returns an engine on a connection, which it then owns.

        Raises:
            EngineUnavailableError: a replica lacks a needed feature.
        """
        replicas = connection.replicas
        length = context_length or connection.reported_length
        if length is None:
            raise EngineUnavailableError(
                f"{connection.name} does not report its context length; set engine.context_length"
            )
        modes = [
            await _probe(replicas, replica, connection.model, tokenizer) for replica in replicas.all
        ]

        def build() -> OpenAIEngine:
            folder = connection.folder
            info = EngineInfo(
                kind="openai",
                model=connection.model,
                model_hash=connection.model_hash,
                tokenizer_hash=tokenizer.hash,
                context_length=length,
                parameters=count_parameters(folder) if folder is not None else 0,
                logprobs_mode="processed" if all(modes) else "raw",
                adapters=dict(connection.adapters),
                sampling=recommended_sampling(folder),
            )
            vocabulary_size = (
                read_config(folder).get("vocab_size") if folder is not None else None
            ) or tokenizer.vocabulary_size
            return cls(
                replicas,
                info,
                tokenizer,
                vocabulary_size=vocabulary_size,
                max_in_flight=max_in_flight,
                folder=folder,
            )

        return await asyncio.to_thread(build)

    @property
    def in_flight(self) -> int:
        """Number of requests that have not ended, including those that wait."""
        return self._gate.in_flight

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions."""
        check_request(request, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._generate(request), priority=request.priority)

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each candidate as the next token."""
        check_score(prompt, candidates, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._score(prompt, candidates), priority=priority)

    async def publish(self, folder: Path) -> int:
        """Makes every replica load the weights of `folder` and reset its prefix cache.

        Raises:
            EngineUnavailableError: a server has no such routes.
            EngineDiedError: a server did not load the weights; replicas may now serve
                different weights.
        """
        folder = Path(folder).absolute()
        refuse_publication(self.info.adapters)
        if self._folder is not None:
            check_same_architecture(folder, tensor_shapes(self._folder))
        async with self._gate.exclusive():
            for replica in self._replicas.all:
                await self._publish_to(replica, folder)
            self.info = replace(self.info, model_hash=hash_weights(folder))
            self.version += 1
        return self.version

    async def close(self) -> None:
        """Closes the connections; the server keeps running."""
        await self._gate.close()
        await self._replicas.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        body = {
            "n": request.n,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "min_p": request.min_p,
            "repetition_penalty": request.repetition_penalty,
            "stop": list(request.stop),
            "stop_token_ids": list(request.stop_token_ids),
            "include_stop_str_in_output": True,
            "seed": None if request.seed is None else spread_seed(request.seed),
            "logprobs": 0 if request.logprobs else None,
        }
        expected = Expected(
            prompt_tokens=len(request.prompt),
            prompt=request.prompt,
            vocabulary_size=self._vocabulary_size,
            n=request.n,
            max_tokens=request.max_tokens,
            logprobs=request.logprobs,
            stop=request.stop,
        )
        version = self.version
        found = await self._send(request.prompt, body, expected, model=request.adapter)
        return Generation(
            tuple(self._completion(choice) for choice in found.choices), found.usage, version
        )

    def _completion(self, choice: ReplyChoice) -> Completion:
        return served_completion(
            choice.token_ids,
            choice.logprobs,
            choice.finish_reason,
            choice.stop_reason,
            tokenizer=self.tokenizer,
            eos_token_ids=self._eos,
        )

    async def _score(self, prompt: Sequence[int], candidates: Sequence[int]) -> NextTokenScores:
        distinct = list(dict.fromkeys(candidates))
        body = {
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": len(distinct),
            "logprob_token_ids": distinct,
        }
        expected = Expected(
            prompt_tokens=len(prompt),
            prompt=prompt,
            vocabulary_size=self._vocabulary_size,
            candidates=tuple(candidates),
        )
        found = await self._send(prompt, body, expected)
        return NextTokenScores(found.choices[0].scores, found.usage)

    async def _send(
        self,
        prompt: Sequence[int],
        body: Mapping[str, Any],
        expected: Expected,
        *,
        model: str | None = None,
    ) -> Completions:
        """Sends a request to the model or to the adapter `model`."""
        request = {
            "model": model or self.info.model,
            "prompt": list(prompt),
            **_DEFAULT_SAMPLING,
            **_AS_TOKEN_IDS,
            **body,
        }
        try:
            return await self._replicas.post(
                "/v1/completions",
                request,
                lambda reply: read_completions(reply, expected),
                most_bytes=expected.most_bytes,
            )
        except AllReplicasDeadError as error:
            raise self._gate.shut(f"died: {error}") from error
        except TooLongError as error:
            refused = error
        size = len(prompt) + expected.max_tokens
        if refused.context_length >= size:
            raise EngineError(
                f"{refused.server} refuses {size} tokens as too long for its context of "
                f"{refused.context_length}; see the server's log"
            )
        raise ContextLengthError(
            prompt_tokens=len(prompt),
            max_tokens=expected.max_tokens,
            context_length=refused.context_length,
            server=refused.server,
        )

    async def _publish_to(self, replica: Replica, folder: Path) -> None:
        async def post(
            path: str, read: Callable[[Reply], T], body: Mapping[str, Any] | None = None
        ) -> T:
            return await self._replicas.call(replica, "POST", path, read, body)

        try:
            await post("/pause?mode=wait", read_nothing)
        except (EngineUnavailableError, TryAgainError) as error:
            raise EngineUnavailableError(
                f"{replica.name} takes no new weights ({error}); start it with "
                "VLLM_SERVER_DEV_MODE=1, reachable from this machine alone"
            ) from error
        try:
            await post(
                "/collective_rpc",
                read_nothing,
                {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}},
            )
            # fails on a server without our extension, which only CPU builds need
            with suppress(EngineError, TryAgainError):
                await post("/collective_rpc", read_nothing, {"method": "repack_output_heads"})
            if not await post("/reset_prefix_cache", read_success):
                raise EngineError(
                    "its prefix cache cannot be reset while other clients send requests"
                )
        except (EngineError, TryAgainError, TooLongError) as error:
            raise self._gate.shut(f"died while {replica.name} loaded {folder} ({error})") from error
        finally:
            # if the server cannot resume, the next request fails
            with suppress(EngineError, TryAgainError):
                await post("/resume", read_nothing)


async def _probe(replicas: Replicas, replica: Replica, model: str, tokenizer: HFTokenizer) -> bool:
    """Requests one token from a server, and returns whether its log-probabilities are
    computed after temperature.

    Raises:
        EngineUnavailableError: the server lacks a feature that this engine needs.
    """
    token = tokenizer.eos_token_id
    found: list[float] = []
    expected = Expected(prompt_tokens=2, vocabulary_size=_ANY_VOCABULARY, candidates=(token,))
    for temperature in (0.0, 2.0):
        body = {
            "model": model,
            "prompt": [token, token],
            "max_tokens": 1,
            "temperature": temperature,
            "seed": 0,
            "logprobs": 1,
        }
        body |= {"logprob_token_ids": [token], **_DEFAULT_SAMPLING, **_AS_TOKEN_IDS}
        try:
            answer = await replicas.ask(
                replica,
                "POST",
                "/v1/completions",
                lambda reply: read_completions(reply, expected),
                body,
            )
        except (TryAgainError, TooLongError) as error:
            raise EngineUnavailableError(
                f"{replica.name} cannot be used: its /v1/completions must take a list of token ids "
                "as prompt, and support return_token_ids, return_tokens_as_token_ids and "
                f"logprob_token_ids, as vLLM 0.32 does ({error})"
            ) from error
        found += answer.choices[0].scores
    is_processed = found[0] != found[1]
    if not is_processed:
        logger.warning(
            "%s reports raw logprobs, which are wrong at temperatures other than 0 and 1; start it "
            "with --logprobs-mode processed_logprobs",
            replica.name,
        )
    return is_processed
