"""Any server with an OpenAI-compatible /v1/completions that takes and returns token ids; several copies of it share the load.

Token ids and log-probabilities of given tokens are vLLM's extensions of that API (`return_token_ids`, `logprob_token_ids`), so the server
has to be vLLM or speak as it does; `open` asks one token of it and says what is missing. Start vLLM with
`--logprobs-mode processed_logprobs --enable-prompt-tokens-details --block-size 32`, on CPU also `--no-enable-chunked-prefill`, as
`agents.engines.server` does:

- with its default, raw log-probabilities, `info.logprobs_mode` is "raw", and only temperatures 0 and 1 report the truth;
- without prompt token details the usage has no cached tokens. With n > 1 the server reports those of the sample that ended last, which
  finds what the first sample has just computed; they are taken for all n, so a request may have one prefix too many: an upper bound.

Requests beyond `max_in_flight` wait here, by their `priority`. It is not sent on, since vLLM refuses it unless it was started with
`--scheduling-policy priority`: the server takes those that it was sent in order of arrival.

Adapters are models of the server (`--enable-lora --lora-modules NAME=FOLDER`). On CPU set `--max-loras` one above their number, or requests
without an adapter are computed with one (see agents.engines.vllm).

`publish` needs VLLM_SERVER_DEV_MODE=1 on the server, a folder that the server sees under the same path, and nobody else who sends requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from agents.engines.replicas import AllReplicasDeadError, Replica, Replicas, TryAgainError
from agents.engines.stopping import served_completion
from agents.engines.tokenizer import HFTokenizer, eos_token_ids
from agents.engines.weights import (
    check_same_architecture,
    count_parameters,
    find_folder,
    hash_text,
    hash_weights,
    read_config,
    tensor_shapes,
)
from agents.nouns import EngineError, EngineUnavailableError, Usage

logger = logging.getLogger(__name__)

# Everything that a server might otherwise take from the model's generation_config.json.
_NO_OTHER_SAMPLING = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_AS_TOKEN_IDS = {"return_token_ids": True, "return_tokens_as_token_ids": True}


class OpenAIEngine:
    """Generator and Publisher over HTTP. Make one with `open`."""

    def __init__(
        self,
        replicas: Replicas,
        info: EngineInfo,
        tokenizer: HFTokenizer,
        *,
        vocabulary_size: int | None,
        max_in_flight: int,
        folder: Path | None,
    ) -> None:
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
        base_url: str | Sequence[str] = "http://127.0.0.1:8000/v1",
        model: str | None = None,
        tokenizer: str | None = None,
        adapters: Sequence[str] = (),
        context_length: int | None = None,
        api_key_env: str | None = None,
        max_in_flight: int = 256,
        timeout_s: float = 600.0,
        max_retries: int = 4,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> OpenAIEngine:
        """Connects to a running server.

        Args:
            base_url: its address, or those of several copies that serve the same model.
            model: the model's name on the server; None: the first that it lists.
            tokenizer: folder or hub id; None: where the server says that it has the model from.
            adapters: LoRA adapters that the server lists as models, by the names that it gives them.
            context_length: longest prompt plus completion, in tokens; None: what the server says.
            api_key_env: name of the environment variable that holds the api key; None: no key is sent.
            max_in_flight: requests in flight, all copies together; the others wait here.
            timeout_s: for one request, in seconds.
            max_retries: further attempts after connection errors, HTTP 429 and 503.
            sleep: waits between attempts; a test passes its own clock.

        Raises:
            EngineUnavailableError: a copy cannot be reached, serves something else, or cannot do what is needed.
        """
        addresses = [base_url] if isinstance(base_url, str) else list(base_url)
        if not addresses:
            raise ValueError("engine.base_url names no server; set it to an address such as http://127.0.0.1:8000/v1")
        api_key = os.environ.get(api_key_env) if api_key_env else None
        if api_key_env and not api_key:
            raise EngineUnavailableError(f"engine.api_key_env names the environment variable {api_key_env}, which is not set; export it")
        replicas = Replicas(addresses, api_key=api_key, timeout_s=timeout_s, max_retries=max_retries, sleep=sleep)
        try:
            listed = [await _list_models(replicas, replica) for replica in replicas.all]
            cards = [_card(replica, models, model) for replica, models in zip(replicas.all, listed, strict=True)]
            model = str(cards[0]["id"])
            for replica, models, card in zip(replicas.all, listed, cards, strict=True):
                if card["id"] != model:
                    raise EngineUnavailableError(f"{replica.root} serves {card['id']!r}, {addresses[0]} serves {model!r}; set engine.model")
                for name in adapters:
                    _card(replica, models, name)
            root = str(cards[0].get("root") or model)
            length = context_length or cards[0].get("max_model_len")
            if length is None:
                raise EngineUnavailableError(f"{addresses[0]} does not say how long its context is; set engine.context_length")
            own_tokenizer = await asyncio.to_thread(HFTokenizer, tokenizer or root)
            modes = [await _probe(replicas, replica, model, own_tokenizer.eos_token_id) for replica in replicas.all]

            def build() -> OpenAIEngine:
                folder = _folder_of(root)
                info = EngineInfo(
                    kind="openai",
                    model=model,
                    model_hash=hash_weights(folder) if folder is not None else hash_text(f"{model} {root}"),
                    tokenizer_hash=own_tokenizer.hash,
                    context_length=int(length),
                    parameters=count_parameters(folder) if folder is not None else 0,
                    logprobs_mode="processed" if all(modes) else "raw",
                    adapters={name: hash_text(f"{name} {_card(replicas.all[0], listed[0], name).get('root')}") for name in adapters},
                )
                vocabulary_size = read_config(folder).get("vocab_size") if folder is not None else None
                return cls(replicas, info, own_tokenizer, vocabulary_size=vocabulary_size, max_in_flight=max_in_flight, folder=folder)

            return await asyncio.to_thread(build)
        except BaseException:
            await replicas.close()
            raise

    @property
    def in_flight(self) -> int:
        """Requests that have not ended; those that wait for a slot count."""
        return self._gate.in_flight

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions."""
        check_request(request, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._generate(request), priority=request.priority)

    async def score(self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0) -> NextTokenScores:
        """Returns the log-probability of each candidate as the next token."""
        check_score(prompt, candidates, self.info, self._vocabulary_size)
        return await self._gate.run(lambda: self._score(prompt, candidates), priority=priority)

    async def publish(self, folder: Path) -> int:
        """Makes every copy of the server load the weights of `folder` and forget its prefix cache.

        Raises:
            EngineUnavailableError: a server has no such routes.
            EngineDiedError: a server did not load the weights; copies may now serve different ones.
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
        """Closes the connections; the server goes on."""
        await self._gate.close()
        await self._replicas.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        body = {
            "n": request.n,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": list(request.stop),
            "stop_token_ids": list(request.stop_token_ids),
            "include_stop_str_in_output": True,
            "seed": None if request.seed is None else spread_seed(request.seed),
            "logprobs": 0,
        }
        version = self.version
        answer = await self._send(request.prompt, body, model=request.adapter)
        completions = tuple(self._read(choice) for choice in sorted(answer["choices"], key=lambda choice: int(choice["index"])))
        if len(completions) != request.n:
            raise EngineError(f"the server of {self.info.model} sent {len(completions)} completions for n={request.n}")
        return Generation(completions, _usage(answer, request.n), version)

    def _read(self, choice: Mapping[str, Any]) -> Completion:
        """Returns one choice of an answer as a completion."""
        token_ids = tuple(choice["token_ids"])
        logprobs = tuple(choice["logprobs"]["token_logprobs"])
        finish_reason, stop_reason = choice["finish_reason"], choice.get("stop_reason")
        if finish_reason not in ("stop", "length") or len(logprobs) != len(token_ids):
            raise EngineError(f"the server sent {len(token_ids)} tokens, {len(logprobs)} logprobs and the finish reason {finish_reason!r}")
        return served_completion(token_ids, logprobs, finish_reason, stop_reason, tokenizer=self.tokenizer, eos_token_ids=self._eos)

    async def _score(self, prompt: Sequence[int], candidates: Sequence[int]) -> NextTokenScores:
        distinct = list(dict.fromkeys(candidates))
        body = {"max_tokens": 1, "temperature": 0.0, "logprobs": len(distinct), "logprob_token_ids": distinct}
        answer = await self._send(prompt, body)
        found = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        return NextTokenScores(tuple(min(0.0, found[f"token_id:{token}"]) for token in candidates), _usage(answer))

    async def _send(self, prompt: Sequence[int], body: Mapping[str, Any], *, model: str | None = None) -> Any:
        """Sends a request for the model, or for an adapter of it."""
        request = {"model": model or self.info.model, "prompt": list(prompt), **_NO_OTHER_SAMPLING, **_AS_TOKEN_IDS, **body}
        try:
            return await self._replicas.post("/v1/completions", request)
        except AllReplicasDeadError as error:
            raise self._gate.shut(f"died: {error}") from error

    async def _publish_to(self, replica: Replica, folder: Path) -> None:
        async def post(path: str, body: Mapping[str, Any] | None = None) -> Any:
            return await self._replicas.call(replica, "POST", path, body)

        try:
            await post("/pause?mode=wait")
        except (EngineUnavailableError, TryAgainError) as error:
            raise EngineUnavailableError(
                f"{replica.root} takes no new weights ({error}); start it with VLLM_SERVER_DEV_MODE=1, reachable from this machine alone"
            ) from error
        try:
            await post("/collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}})
            with suppress(EngineError, ValueError, TryAgainError):  # a server without our extension; only CPU builds need it
                await post("/collective_rpc", {"method": "repack_output_heads"})
            if not (await post("/reset_prefix_cache"))["success"]:
                raise EngineError("its prefix cache cannot be reset while others send requests")
        except (EngineError, ValueError, TryAgainError) as error:
            raise self._gate.shut(f"died while {replica.root} loaded {folder} ({error})") from error
        finally:
            with suppress(EngineError, TryAgainError):  # a server that cannot resume fails the next request
                await post("/resume")


async def _list_models(replicas: Replicas, replica: Replica) -> list[Mapping[str, Any]]:
    """Returns what a server says of each of its models."""
    try:
        return list((await replicas.call(replica, "GET", "/v1/models"))["data"])
    except (TryAgainError, KeyError, TypeError, ValueError) as error:
        raise EngineUnavailableError(
            f"no model server answers at {replica.root} ({error}); start one with `python -m agents.engines.server MODEL`, "
            "or set engine.base_url"
        ) from error


def _card(replica: Replica, models: Sequence[Mapping[str, Any]], name: str | None) -> Mapping[str, Any]:
    """Returns what a server says of the model called `name`, or of its first one."""
    for card in models:
        if name is None or card["id"] == name:
            return card
    known = [card["id"] for card in models]
    raise EngineUnavailableError(f"{replica.root} does not serve {name!r}, only {known}; set engine.model or engine.adapters to one")


async def _probe(replicas: Replicas, replica: Replica, model: str, token: int) -> bool:
    """Asks a server for one token, and returns whether its log-probabilities are those after temperature.

    Raises:
        EngineUnavailableError: it cannot do what this engine needs.
    """
    found = []
    for temperature in (0.0, 2.0):
        body = {"model": model, "prompt": [token, token], "max_tokens": 1, "temperature": temperature, "seed": 0, "logprobs": 1}
        body |= {"logprob_token_ids": [token], **_NO_OTHER_SAMPLING, **_AS_TOKEN_IDS}
        try:
            choice = (await replicas.call(replica, "POST", "/v1/completions", body))["choices"][0]
            assert len(choice["token_ids"]) == 1
            found.append(float(choice["logprobs"]["top_logprobs"][0][f"token_id:{token}"]))
        except (KeyError, TypeError, ValueError, AssertionError, TryAgainError) as error:
            raise EngineUnavailableError(
                f"{replica.root} cannot be used: its /v1/completions must take a list of token ids as prompt, and support "
                f"return_token_ids, return_tokens_as_token_ids and logprob_token_ids, as vLLM 0.32 does ({type(error).__name__}: {error})"
            ) from error
    is_processed = found[0] != found[1]
    if not is_processed:
        logger.warning("%s reports raw logprobs, wrong at temperatures other than 1; use --logprobs-mode processed_logprobs", replica.root)
    return is_processed


def _folder_of(root: str) -> Path | None:
    """Returns the model's folder where this machine has it, too."""
    try:
        return find_folder(root)
    except EngineUnavailableError:
        return None


def _usage(answer: Mapping[str, Any], n: int = 1) -> Usage:
    usage = answer["usage"]
    details = usage.get("prompt_tokens_details") or {}
    return Usage(n * usage["prompt_tokens"], n * (details.get("cached_tokens") or 0), usage["completion_tokens"], 1)
