"""The protocols through which a model is reached, and what goes through them.

Token ids go in and token ids come out: nothing above an engine re-tokenises what a
model wrote. Every implementation passes the same conformance suite
(tests/agents/engines/conformance.py), so a role never knows which engine it talks to.

An engine belongs to one event loop (`agents.engines.loop`), is opened once, shared by
all roles that name it, and closed by whoever opened it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from agents.types import Content, ContextLengthError, FinishReason, Hidden, Usage
from agents.types.step import ADDED

MAX_CANDIDATES = 128
"""Most next tokens that one `score` call may ask about (vLLM's limit on
logprob_token_ids)."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that roles need."""

    eos_token_id: int

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Returns the token ids of `text`; special tokens spelled out in it become
        their own ids.
        """
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Returns the text of `token_ids`."""
        ...

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        """Returns the token ids of `render(data)`, in which no text of `data` is a
        control token (see `agents.engines.control_tokens`).

        Where `data` spells no control token out, these are the ids of the text.
        """
        ...

    def apply_chat_template(self, messages: list[dict[str, str]]) -> list[int]:
        """Returns the prompt ids of a conversation, ready for the assistant's turn; no
        message holds a control token.

        Raises:
            EngineUnavailableError: the model folder has no chat template.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine serves; part of every trace."""

    kind: str
    """vllm, openai, transformers, scripted, or the name of an engine of your own."""
    model: str
    """Name or folder of the model."""
    model_hash: str
    """16 hex digits over the weights (or, for a remote server, over the name it
    reports)."""
    tokenizer_hash: str
    """16 hex digits over the tokenizer's vocabulary and chat template."""
    context_length: int
    """Longest prompt plus completion, in tokens."""
    parameters: int = 0
    """Number of weights, for FLOPs accounting; 0 when unknown."""
    logprobs_mode: Literal["processed", "raw"] = "processed"
    """`processed`: as `Completion.logprobs` says. `raw`: a remote server that reports
    temperature 1 whatever the temperature was; its importance ratios are biased, so
    training refuses it."""
    adapters: dict[str, str] = field(default_factory=dict, metadata=ADDED)
    """16 hex digits over the weights of each LoRA adapter (over its name, where only a
    server has them), by the name under which a request asks for it."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Asks for `n` completions of one prompt."""

    prompt: tuple[int, ...] = field(repr=False)
    """Token ids; no part of the repr, since they spell the thought so far."""
    n: int = 1
    max_tokens: int = 64
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the matched string stays in `text` and
    `token_ids`, so that ids can be continued."""
    stop_token_ids: tuple[int, ...] = ()
    """Token ids that end a completion; the matched token stays in `token_ids`. The
    end-of-sequence token always ends it."""
    seed: int | None = None
    """The same request sent alone twice with one seed gives identical ids. Greedy
    requests need none."""
    adapter: str | None = None
    """LoRA adapter to write with, one of `EngineInfo.adapters`; None: the model as it
    is."""
    logprobs: bool = True
    """Whether the completions' log-probabilities are needed; without them each is NaN,
    which spares the engine the work. No part of what is sampled."""
    priority: int = field(default=0, compare=False)
    """Where requests wait, smaller numbers go first, and equal ones in the order of
    their arrival. No part of what is asked. An engine that batches nothing
    (transformers) may keep to the order of arrival."""


@dataclass(frozen=True, slots=True, init=False)
class Completion:
    """One sample. What it says is hidden like a step: repr, logs and tracebacks do not
    show it, json and pickle refuse.
    """

    content: Hidden[Content]
    """Text, token ids and log-probabilities; read them by the properties of the same
    names."""
    finish_reason: FinishReason
    stop_reason: str | int | None
    """The stop string or stop token id that ended it; None at end of sequence and at
    "length"."""

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
        """Text, token ids and logprobs are given, or taken from `content`, as
        `dataclasses.replace` does.
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
        """Every generated token, the one that ended it included."""
        return self.content.reveal().token_ids

    @property
    def logprobs(self) -> tuple[float, ...]:
        """Log-probability of each token under the distribution that it was drawn from,
        in nats: after temperature and top_p; of a greedy one at temperature 1. All NaN
        where the request did without.
        """
        return self.content.reveal().logprobs


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a `GenerateRequest`: exactly `n` completions and what they cost."""

    completions: tuple[Completion, ...]
    usage: Usage
    version: int = 0
    """Version of the weights that wrote it (see `Publisher`)."""


@dataclass(frozen=True, slots=True)
class NextTokenScores:
    """Log-probabilities of given next tokens after a prompt."""

    logprobs: tuple[float, ...]
    """In nats, at temperature 1, in the order of the candidates; each at most 0."""
    usage: Usage


@runtime_checkable
class Engine(Protocol):
    """What every engine has."""

    @property
    def info(self) -> EngineInfo:
        """What it serves."""
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
    `token_ids` and `logprobs` have one length, at most max_tokens; usage counts the
    prompt once per sample (of which the engine computes what is not `cached`) and every
    generated token; cancelling the awaiting task frees the engine of the request.

    Raises (both calls):
        ContextLengthError: prompt plus max_tokens do not fit; nothing is clipped
            silently.
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
        one. Counts as one generated token.

        `priority`: see `GenerateRequest`.
        """
        ...


@runtime_checkable
class Publisher(Protocol):
    """Takes new weights into a running engine.

    Law: after `publish` returns, every logprob that the engine reports is that of the
    new weights (no stale cache), `version` has grown by one, and `info.model_hash`
    names the new weights. Publish between phases only: requests in flight are waited
    for, and new ones wait until it is done.
    """

    @property
    def version(self) -> int:
        """Publications so far; 0 is the model as it was loaded."""
        ...

    async def publish(self, folder: Path) -> int:
        """Loads the weights of a Hugging Face model folder and returns the new version.

        Raises:
            ValueError: the folder holds no weights, or of another architecture, or the
                engine serves adapters.
        """
        ...


@runtime_checkable
class SupportsCacheReset(Protocol):
    """Can be used for something else as if it had just been opened."""

    async def reset_cache(self) -> bool:
        """Empties the prefix cache, once nothing is in flight, and returns whether it
        is empty.
        """
        ...


@dataclass(frozen=True, slots=True)
class Classification:
    """What a model's heads say of one prompt."""

    outputs: tuple[float, ...]
    """Raw outputs, no softmax and no sigmoid, in the order of `Classifier.labels`."""
    usage: Usage


@runtime_checkable
class Classifier(Engine, Protocol):
    """Reads the heads of a model: K numbers for a whole prompt.

    The model is one for sequence classification: a trunk, and a linear layer over the
    hidden state of the last token.

    Laws: `outputs` has one number per label and depends on the prompt alone, but for
    the low bits that a batch may change; usage counts the prompt once, and nothing
    generated. Concurrent calls are computed together.

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
        """Returns the outputs behind the prompt's last token. `priority`: see
        `GenerateRequest`.
        """
        ...


def check_request(
    request: GenerateRequest, info: EngineInfo, vocabulary_size: int | None = None
) -> None:
    """Refuses what no engine can do; called by every implementation before anything is
    sent.

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
    """Refuses a `score` call that no engine can answer; called by every implementation
    before anything is sent.

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
    """Refuses a `classify` call that no engine can answer; called by every
    implementation before anything is sent.

    Raises:
        ValueError, ContextLengthError: see `Classifier`.
    """
    _check_prompt(prompt, 0, info, vocabulary_size)


def spread_seed(seed: int) -> int:
    """Returns a seed in [0, 2^53) far from those of neighbouring seeds.

    vLLM gives sample i of a request the seed `seed + i`, so that requests seeded 0, 1,
    2 ... would draw the same samples.
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
