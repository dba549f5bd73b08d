"""Protocols of an engine, and the requests and results that they exchange.

Prompts and completions are token ids: no code above an engine re-tokenises a
completion. Every implementation passes the same conformance suite
(tests/agents/engines/conformance.py), so roles do not depend on the kind of engine.

An engine belongs to one event loop (`agents.engines.loop`). It is opened once and
shared by all roles that name it; the code that opened it closes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from agents.types import (
    Capabilities,
    Content,
    ContextLengthError,
    FinishReason,
    Hidden,
    SamplingOptions,
    Usage,
)
from agents.types.added import ADDED

MAX_CANDIDATES = 128
"""Maximum number of candidates of one `score` call (vLLM's limit on
logprob_token_ids)."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that roles need."""

    eos_token_id: int

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Returns the token ids of `text`; the text of a special token becomes that
        token.
        """
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Returns the text of `token_ids`; special tokens are left out, except the
        delimiters of thoughts (`agents.safety.think_delimiters.MARKS`).
        """
        ...

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        """Returns the token ids of `render(data)`, in which no text of `data` is a
        control token (see `agents.engines.control_tokens`).

        If `data` contains the text of no control token, the result equals
        `encode(render(data))`.
        """
        ...

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Returns the prompt ids of a conversation, up to the start of the assistant's
        turn. The text of a control token in a message stays ordinary text.

        The content of a system message is put before the first user message if the
        template takes no system message.

        Args:
            messages: turns, each with `role` and `content`.
            options: variables of the template (`enable_thinking`).

        Raises:
            EngineUnavailableError: the model folder has no chat template.
            ValueError: the template has no such variable.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Description of a served model; stored in every trace."""

    kind: str
    """vllm, openai, transformers, scripted, or the name of an engine of your own."""
    model: str
    """Name or folder of the model."""
    model_hash: str
    """Hash of the weights, 16 hex digits; of the reported name if a server's weights
    are not on this machine."""
    tokenizer_hash: str
    """Hash of the tokenizer's vocabulary and chat template, 16 hex digits."""
    context_length: int
    """Maximum length of prompt plus completion, in tokens."""
    parameters: int = 0
    """Number of weights, for FLOPs accounting; 0 when unknown."""
    logprobs_mode: Literal["processed", "raw"] = "processed"
    """`processed`: as `Completion.logprobs` documents. `raw`: a remote server that
    reports log-probabilities at temperature 1 for every temperature; importance ratios
    would be biased, so training refuses it."""
    adapters: dict[str, str] = field(default_factory=dict, metadata=ADDED)
    """Hash of each LoRA adapter's weights by the adapter's name, 16 hex digits; of its
    name and path if only a server has the weights."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions, metadata=ADDED)
    """Sampling parameters that the model's generation_config.json recommends."""
    capabilities: Capabilities | None = field(default=None, metadata=ADDED)
    """What a server offers with which the engine exchanges text; None: an engine that
    takes and returns the model's token ids."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request for `n` completions of one prompt."""

    prompt: tuple[int, ...] = field(repr=False)
    """Token ids; not in the repr, since they contain the thought."""
    n: int = 1
    max_tokens: int = 64
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    """This and the three options above: see `agents.types.Sampling`."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the matched string stays in `text` and
    `token_ids`, so that a later request can continue them."""
    stop_token_ids: tuple[int, ...] = ()
    """Token ids that end a completion; the matched token stays in `token_ids`. The
    end-of-sequence token always ends it."""
    seed: int | None = None
    """A request that is sent twice with the same seed, each time alone, returns the
    same token ids. Greedy requests need no seed."""
    adapter: str | None = None
    """LoRA adapter to apply, one of `EngineInfo.adapters`; None: the base model."""
    logprobs: bool = True
    """Whether to compute the log-probabilities of the sampled tokens; if not, each is
    NaN. Does not change the samples."""
    priority: int = field(default=0, compare=False)
    """Waiting requests with smaller numbers run first, ties in order of arrival.
    Ignored when requests are compared. An engine without batching across requests
    (transformers) may use the order of arrival alone."""


@dataclass(frozen=True, slots=True, init=False)
class Completion:
    """One sample. Its content is hidden, like that of a step: repr, logs and tracebacks
    do not show it, and json and pickle refuse it.
    """

    content: Hidden[Content]
    """Text, token ids and log-probabilities; the properties of the same names return
    them."""
    finish_reason: FinishReason
    stop_reason: str | int | None
    """Stop string or stop token id that ended the completion; None after the
    end-of-sequence token and for finish reason "length"."""

    def __init__(
        self,
        text: str | None = None,
        token_ids: tuple[int, ...] | None = None,
        logprobs: tuple[float, ...] | None = None,
        finish_reason: FinishReason = "stop",
        stop_reason: str | int | None = None,
        *,
        content: Hidden[Content] | None = None,
    ) -> None:
        """Takes text, token ids and logprobs from `content` if they are not given, as
        `dataclasses.replace` needs it.
        """
        old = content.reveal() if content is not None else None
        if old is not None:
            text = old.text if text is None else text
            token_ids = old.token_ids if token_ids is None else token_ids
            logprobs = old.logprobs if logprobs is None else logprobs
        if text is None or token_ids is None or logprobs is None:
            raise TypeError("a completion needs text, token_ids and logprobs")
        object.__setattr__(self, "content", Hidden(Content(text, token_ids, logprobs)))
        object.__setattr__(self, "finish_reason", finish_reason)
        object.__setattr__(self, "stop_reason", stop_reason)

    @property
    def text(self) -> str:
        """Decoded text without special tokens."""
        return self.content.reveal().text

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Every generated token, including the one that ended the completion."""
        return self.content.reveal().token_ids

    @property
    def logprobs(self) -> tuple[float, ...]:
        """Log-probability of each token in nats, under the distribution that it was
        sampled from (after all sampling parameters); at temperature 1 for greedy
        requests. All NaN if the request did not ask for them.
        """
        return self.content.reveal().logprobs


@dataclass(frozen=True, slots=True)
class Generation:
    """Result of a `GenerateRequest`: exactly `n` completions and their usage."""

    completions: tuple[Completion, ...]
    usage: Usage
    version: int = 0
    """Version of the weights that generated it (see `Publisher`)."""


@dataclass(frozen=True, slots=True)
class NextTokenScores:
    """Log-probabilities of candidate tokens as the next token after a prompt."""

    logprobs: tuple[float, ...]
    """In nats, at temperature 1, in the order of the candidates; each at most 0."""
    usage: Usage


@runtime_checkable
class Engine(Protocol):
    """Members of every engine."""

    @property
    def info(self) -> EngineInfo:
        """Description of the served model."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        ...

    async def close(self) -> None:
        """Frees the model. Idempotent; requests in flight fail with EngineDiedError."""
        ...


@runtime_checkable
class Generator(Engine, Protocol):
    """Generates from a causal language model.

    Laws: `generate` returns exactly n completions or raises; each completion's
    `token_ids` and `logprobs` have the same length, at most max_tokens; usage counts
    the prompt once per sample (`cached` tokens were not computed) and every generated
    token; cancelling the awaiting task removes the request from the engine.

    Raises (both calls):
        ContextLengthError: prompt plus max_tokens exceed the context; the engine never
            clips silently.
        EngineDiedError: the engine stopped; carries the number of requests in flight.
        ValueError: an empty prompt, n or max_tokens below 1, n above 1 at temperature
            0, an adapter that is not served, or a token id outside the vocabulary.
    """

    async def generate(self, request: GenerateRequest) -> Generation:
        """Returns `request.n` completions."""
        ...

    async def score(
        self, prompt: Sequence[int], candidates: Sequence[int], *, priority: int = 0
    ) -> NextTokenScores:
        """Returns the log-probability of each of 1 to 128 candidate tokens as the next
        token. Usage counts one generated token.

        `priority`: see `GenerateRequest`.
        """
        ...


@runtime_checkable
class Publisher(Protocol):
    """Loads new weights into a running engine.

    Law: after `publish` returns, every reported log-probability is that of the new
    weights (no stale cache), `version` has grown by one, and `info.model_hash` is that
    of the new weights. `publish` waits for the requests in flight, and new requests
    wait for `publish`, so call it between phases only.
    """

    @property
    def version(self) -> int:
        """Number of publications so far; 0: the weights that were loaded at opening."""
        ...

    async def publish(self, folder: Path) -> int:
        """Loads the weights of a Hugging Face model folder and returns the new version.

        Raises:
            ValueError: the folder holds no weights or those of another architecture, or
                the engine serves adapters.
        """
        ...


@runtime_checkable
class SupportsCacheReset(Protocol):
    """An engine that can return to the state of a newly opened one."""

    async def reset_cache(self) -> bool:
        """Waits until no request is in flight, empties the prefix cache, and returns
        whether it is empty.
        """
        ...


@dataclass(frozen=True, slots=True)
class Classification:
    """Outputs of a model's heads for one prompt."""

    outputs: tuple[float, ...]
    """Raw outputs, before any softmax or sigmoid, in the order of
    `Classifier.labels`."""
    usage: Usage


@runtime_checkable
class Classifier(Engine, Protocol):
    """Computes the heads of a model: K numbers for a whole prompt.

    The model is a sequence classification model: a trunk, and a linear layer over the
    hidden state of the last token.

    Laws: `outputs` has one number per label and depends on the prompt alone, except for
    low bits that depend on the batch; usage counts the prompt once and no generated
    token. Concurrent calls share batches.

    Raises:
        ContextLengthError: the prompt is longer than the context.
        EngineDiedError: the engine stopped; carries the number of requests in flight.
        ValueError: an empty prompt, or a token id outside the vocabulary.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the K outputs: `id2label` of the folder's config.json."""
        ...

    async def classify(self, prompt: Sequence[int], *, priority: int = 0) -> Classification:
        """Returns the outputs at the prompt's last token. `priority`: see
        `GenerateRequest`.
        """
        ...


def check_request(
    request: GenerateRequest, info: EngineInfo, vocabulary_size: int | None = None
) -> None:
    """Refuses a request that no engine can answer; every implementation calls it before
    it sends the request.

    Raises:
        ValueError, ContextLengthError: see `Generator`.
    """
    if request.n < 1 or request.max_tokens < 1:
        raise ValueError(
            f"n ({request.n}) and max_tokens ({request.max_tokens}) must be at least 1"
        )
    if request.temperature < 0 or not 0 < request.top_p <= 1:
        raise ValueError(
            f"temperature ({request.temperature}) must be at least 0 and top_p ({request.top_p}) "
            "in (0, 1]"
        )
    if request.top_k < 0 or not 0 <= request.min_p <= 1 or request.repetition_penalty <= 0:
        raise ValueError(
            f"top_k ({request.top_k}) must be at least 0, min_p ({request.min_p}) in [0, 1] and "
            f"repetition_penalty ({request.repetition_penalty}) above 0"
        )
    if request.temperature == 0 and request.n > 1:
        raise ValueError(
            f"n ({request.n}) greedy samples would be {request.n} copies; set temperature above 0 "
            "or n to 1"
        )
    if "" in request.stop:
        raise ValueError("a stop string is empty; it would end every completion at once")
    if request.adapter is not None and request.adapter not in info.adapters:
        known = ", ".join(info.adapters) or "none"
        raise ValueError(
            f"adapter ({request.adapter}) is not served by {info.model}, which has {known}; name "
            "it in engine.adapters"
        )
    _check_prompt(request.prompt, request.max_tokens, info, vocabulary_size)


def check_score(
    prompt: Sequence[int],
    candidates: Sequence[int],
    info: EngineInfo,
    vocabulary_size: int | None = None,
) -> None:
    """Refuses a `score` call that no engine can answer; every implementation calls it
    before it sends the request.

    Raises:
        ValueError, ContextLengthError: see `Generator`.
    """
    if not 1 <= len(candidates) <= MAX_CANDIDATES:
        raise ValueError(f"{len(candidates)} candidate tokens to score; name 1 to {MAX_CANDIDATES}")
    _check_tokens("candidates", candidates, vocabulary_size)
    _check_prompt(prompt, 1, info, vocabulary_size)


def check_classify(
    prompt: Sequence[int], info: EngineInfo, vocabulary_size: int | None = None
) -> None:
    """Refuses a `classify` call that no engine can answer; every implementation calls
    it before it sends the request.

    Raises:
        ValueError, ContextLengthError: see `Classifier`.
    """
    _check_prompt(prompt, 0, info, vocabulary_size)


def spread_seed(seed: int) -> int:
    """Returns a hash of `seed` in [0, 2^53).

    vLLM gives sample i of a request the seed `seed + i`, so requests with the seeds 0,
    1, 2 ... would share samples.
    """
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest()) >> 11


def _check_prompt(
    prompt: Sequence[int], max_tokens: int, info: EngineInfo, vocabulary_size: int | None
) -> None:
    if not prompt:
        raise ValueError("the prompt is empty; an engine needs at least one token to continue")
    _check_tokens("prompt", prompt, vocabulary_size)
    if len(prompt) + max_tokens > info.context_length:
        raise ContextLengthError(
            prompt_tokens=len(prompt), max_tokens=max_tokens, context_length=info.context_length
        )


def _check_tokens(name: str, tokens: Sequence[int], vocabulary_size: int | None) -> None:
    if vocabulary_size is not None and (min(tokens) < 0 or max(tokens) >= vocabulary_size):
        wrong = next(token for token in tokens if not 0 <= token < vocabulary_size)
        raise ValueError(
            f"token id {wrong} of the {name} is outside the vocabulary of {vocabulary_size}"
        )
