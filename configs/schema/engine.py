"""Options of the engines: one group for each kind of engine.

Chosen with `engine=vllm | openai | transformers | scripted | custom`. A role gets an
engine of its own with `engine@policy.engine=openai policy.engine.base_url=...`; roles
without one share `engine`. Roles whose engines have equal options share one engine,
too: the option groups are hashable, and one engine is opened per distinct
configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

import agents
from agents.objects import NAME
from configs.schema.base import OPERATIONAL, ConfigGroup, check_different

POCKET = "pocket"
"""Name of the embedded model."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
AdapterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def resolve_model(name: str) -> str:
    """Returns the folder of the embedded model for "pocket", or else the folder or hub
    id itself.
    """
    if name == POCKET:
        return str(Path(agents.__file__).parent / "pocket")
    return str(Path(name).expanduser()) if name.startswith("~") else name


class _Engine(ConfigGroup):
    """Base of all engines' options."""

    def keywords(self) -> dict[str, Any]:
        """Returns the keywords that open the engine: all options but `kind`, with the
        model resolved to a folder or hub id.
        """
        keywords = self.model_dump(exclude={"kind"})
        for name in ("model", "tokenizer"):
            if keywords.get(name) is not None:
                keywords[name] = resolve_model(keywords[name])
        return keywords

    @property
    def adapter_names(self) -> tuple[str, ...]:
        """Names of the LoRA adapters that requests may use."""
        return ()

    @model_validator(mode="after")
    def _adapters_differ(self) -> Self:
        check_different("engine.adapters", self.adapter_names)
        return self


class Adapter(ConfigGroup):
    """A LoRA adapter of the model that an engine serves."""

    name: AdapterName
    """Name by which requests choose the adapter."""
    folder: str
    """Folder with adapter_config.json and adapter_model.safetensors, as written by
    PEFT's save_pretrained."""


class _LocalEngine(_Engine):
    """An engine that loads the model itself."""

    adapters: tuple[Adapter, ...] = ()
    """LoRA adapters served beside the model, each {name, folder}; search.pool_adapters
    samples with them. An engine with adapters cannot be trained."""

    def keywords(self) -> dict[str, Any]:
        """Returns the keywords that open the engine, with the adapters as name ->
        folder.
        """
        return super().keywords() | {
            "adapters": {adapter.name: resolve_model(adapter.folder) for adapter in self.adapters}
        }

    @property
    def adapter_names(self) -> tuple[str, ...]:
        return tuple(adapter.name for adapter in self.adapters)


class VllmEngineConfig(_LocalEngine):
    """vLLM inside this process, the default. Needs the extra `cpu` or `gpu`."""

    kind: Literal["vllm"] = "vllm"
    """vLLM inside this process."""
    model: str = POCKET
    """Folder or hub id of the weights; "pocket" is the model that comes with the
    package."""
    tokenizer: str | None = None
    """Folder or hub id of another tokenizer; null: the model's own."""
    dtype: Dtype = "auto"
    """Number format of weights and activations; auto: as in the model's config.json,
    but float32 on a CPU without bfloat16."""
    max_model_len: int | None = Field(None, ge=2)
    """Longest prompt plus completion, in tokens; null: the model's own limit."""
    max_num_seqs: Annotated[int, OPERATIONAL] = Field(64, ge=1)
    """Most sequences computed at once; a request for n samples counts n times."""
    kv_cache_gib: Annotated[float | None, OPERATIONAL] = Field(None, gt=0)
    """Size of the KV cache, in GiB; null: 1 GiB on a CPU, on a GPU the memory that
    gpu_memory_utilization leaves."""
    gpu_memory_utilization: Annotated[float, OPERATIONAL] = Field(0.85, gt=0, le=1)
    """Share of the GPU's memory that the engine may use; ignored on a CPU, and if
    kv_cache_gib is set."""
    tensor_parallel_size: int = Field(1, ge=1)
    """Number of GPUs that one copy of the model is split over."""
    block_size: Literal[16, 32, 64, 128] = 32
    """Tokens in a block of the prefix cache; only whole blocks of a shared prefix are
    reused."""
    enforce_eager: bool | None = None
    """Run without torch.compile and CUDA graphs; null: true on a CPU, where they cost
    30 s and gain nothing, false on a GPU."""
    cpu_threads: Annotated[int | None, OPERATIONAL] = Field(None, ge=1)
    """OpenMP threads on a CPU; null: OMP_NUM_THREADS, or else one per 10 million
    weights, at most the cores that the process may use."""
    seed: int = Field(0, ge=0)
    """Seed of the requests that carry none."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], OPERATIONAL] = "ERROR"
    """Level of vLLM's log on stderr."""


class OpenaiEngineConfig(_Engine):
    """A server (or several replicas) with an OpenAI-compatible API: vLLM, llama.cpp,
    Ollama, LM Studio, TGI, SGLang, LiteLLM, hosted models.
    """

    kind: Literal["openai"] = "openai"
    """An OpenAI-compatible server."""
    base_url: Annotated[str | tuple[str, ...], OPERATIONAL] = Field(
        "http://127.0.0.1:8000/v1", min_length=1
    )
    """Address of the server, or a list with one address per replica; each request goes
    to the least busy replica."""
    api: Literal["auto", "completions", "chat"] = "auto"
    """completions: exchange token ids through /v1/completions (vLLM, with a tokenizer);
    chat: exchange text through /v1/chat/completions, without a tokenizer; auto:
    completions if the server and a tokenizer allow it, else chat."""
    model: str | None = None
    """Name of the model on the server; null: the first model that the server lists."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer; null: the model root that the server
    reports."""
    adapters: tuple[AdapterName, ...] = ()
    """Names of the LoRA adapters that the server lists as models (--lora-modules);
    search.pool_adapters samples with them."""
    context_length: int | None = Field(None, ge=2)
    """Longest prompt plus completion, in tokens; null: the limit that the server
    reports."""
    api_key_env: Annotated[str | None, OPERATIONAL] = None
    """Name of the environment variable that holds the API key; null: no key is sent."""
    max_in_flight: Annotated[int, OPERATIONAL] = Field(256, ge=1)
    """Most requests in flight, over all replicas."""
    timeout_s: Annotated[float, OPERATIONAL] = Field(600.0, gt=0)
    """Time-out of one attempt at a request, in seconds."""
    retry_s: Annotated[float, OPERATIONAL] = Field(300.0, ge=0)
    """Time for which a failed request is retried, in seconds from its first failure:
    HTTP 408, 425, 429 and 5xx, time-outs and lost connections."""

    @property
    def adapter_names(self) -> tuple[str, ...]:
        return self.adapters


class TransformersEngineConfig(_LocalEngine):
    """Plain torch in this process, for machines without vLLM."""

    kind: Literal["transformers"] = "transformers"
    """Plain torch in this process."""
    model: str = POCKET
    """Folder or hub id of the weights; "pocket" is the model that comes with the
    package."""
    tokenizer: str | None = None
    """Folder or hub id of another tokenizer; null: the model's own."""
    dtype: Dtype = "float32"
    """Number format of weights and activations; auto: as in the model's config.json."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """Device: cpu, cuda, cuda:1 or mps; auto: cuda if available, else cpu."""
    max_model_len: int | None = Field(None, ge=2)
    """Longest prompt plus completion, in tokens; null: the model's own limit."""
    max_num_seqs: Annotated[int, OPERATIONAL] = Field(64, ge=1)
    """Most samples of one request computed at once; more samples run in several
    batches."""
    seed: int = Field(0, ge=0)
    """Seed of the requests that carry none."""


class ScriptRule(ConfigGroup):
    """One request that a scripted engine expects, and the reply."""

    reply: str | tuple[str, ...] | None = None
    """The completion; a list holds one per sample."""
    scores: dict[str, Annotated[float, Field(le=0)]] | None = None
    """Reply to a request for next-token scores: candidate text -> log-probability, in
    nats."""
    match: str | None = None
    """Text that must occur in the prompt, or else the request fails."""

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # a dict has no hash of its own

    @model_validator(mode="after")
    def _answers_one_kind_of_request(self) -> Self:
        if (self.reply is None) == (self.scores is None):
            raise ValueError("a rule needs exactly one of reply and scores; leave out the other")
        return self


class ScriptedEngineConfig(_Engine):
    """A deterministic model for tests and dry runs; it fails when its script runs
    out.
    """

    kind: Literal["scripted"] = "scripted"
    """A deterministic model for tests and dry runs."""
    script: tuple[ScriptRule, ...] = ()
    """One rule per expected request, in order: {reply: text or list of texts} or
    {scores: {candidate: logprob}}, and optionally match."""
    function: str | None = Field(None, pattern=r"^[\w.]+:[\w.]+$")
    """"package.module:name" of a function (prompt_text, sample_index, rng) -> str that
    answers every request, or of an object with it."""
    special_tokens: tuple[str, ...] | None = None
    """Texts that are one token each; null: those of the function's object, or else the
    special tokens of common chat templates."""
    context_length: int = Field(4096, ge=2)
    """Longest prompt plus completion, in tokens."""
    latency_s: Annotated[float, OPERATIONAL] = Field(0.0, ge=0)
    """Simulated time of each request, in seconds."""
    die_after: int | None = Field(None, ge=0)
    """Number of requests after which the engine fails; null: it never fails."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.script) == bool(self.function):
            raise ValueError(
                "the scripted engine needs exactly one of script and function; set "
                "function=package.module:name, or script=[{reply: ...}]"
            )
        return self

    def keywords(self) -> dict[str, Any]:
        """Returns the keywords that open the engine; leaves out special_tokens if
        null.
        """
        return {
            name: value
            for name, value in super().keywords().items()
            if not (name == "special_tokens" and value is None)
        }


class CustomEngineConfig(_Engine):
    """An engine that does not come with the package."""

    kind: Literal["custom"] = "custom"
    """An engine of your own, named by engine.object."""
    object: str = Field(pattern=NAME)
    """package.module:name of a class with a coroutine `open` that returns a Generator
    (agents.engines.base)."""
    options: dict[str, JsonValue] | None = None
    """Keywords of `open`: engine.options={order: 2}; null: none."""

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # a dict has no hash of its own


EngineConfig = Annotated[
    VllmEngineConfig
    | OpenaiEngineConfig
    | TransformersEngineConfig
    | ScriptedEngineConfig
    | CustomEngineConfig,
    Field(discriminator="kind"),
]
"""Any engine; `kind` names it."""
