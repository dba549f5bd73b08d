"""Compares a configuration with what model servers offer (agents.types.Capabilities):
refuses what cannot run, and reports in one line what a server lacks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import get_args

from agents.engines.base import Engine, EngineInfo
from agents.types import Capabilities, Sampling
from configs import RunConfig
from configs.schema import SearchConfig, TokenCriticConfig

logger = logging.getLogger(__name__)

_RESTRICTIONS = ("top_k", "min_p", "repetition_penalty")


def whole_answer_searches() -> tuple[str, ...]:
    """Returns the searches that never continue a thought, by name."""
    union, *_ = get_args(SearchConfig)
    names = (
        options.model_fields["strategy"].default
        for options in get_args(union)
        if not options.continues_thoughts
    )
    return tuple(name for name in names if name != "custom")


def check_capabilities(config: RunConfig, engines: Mapping[str, Engine]) -> None:
    """Refuses a configuration that needs more than the servers of its roles offer.

    Raises:
        ValueError: it does; the message names each conflict and the ways out.
    """
    conflicts = [*_conflicts_of_policy(config, engines["policy"].info)]
    critic = engines.get("critic", engines["policy"]).info
    if (
        isinstance(config.critic, TokenCriticConfig)
        and critic.capabilities is not None
        and not critic.capabilities.top_logprobs
    ):
        conflicts.append(
            f"critic.kind (token) reads the probabilities of two words, and the server of "
            f"{critic.model} reports none; choose critic=chat_working"
        )
    if conflicts:
        raise ValueError("\n".join(conflicts))


def _conflicts_of_policy(config: RunConfig, info: EngineInfo) -> Iterator[str]:
    offered = info.capabilities
    if offered is None:
        return
    searches = ", ".join(whole_answer_searches())
    if config.search.continues_thoughts and not offered.can_continue:
        yield (
            f"search.strategy ({config.search.strategy}) continues a thought, and the server of "
            f"{info.model} begins a new reply instead; choose search from {searches}, or a server "
            "that continues the last message (llama.cpp, vLLM, Ollama) or takes token ids (vLLM, "
            "with engine.tokenizer)"
        )
    if config.records_logprobs and not offered.logprobs:
        reader = (
            f"search.strategy ({config.search.strategy})"
            if config.search.reads_logprobs
            else f"critic.kind ({config.critic.kind})"
            if config.critic.reads_logprobs
            else "policy.logprobs (always)"
        )
        yield (
            f"{reader} reads log-probabilities, and the server of {info.model} reports none; "
            f"choose search from {searches} without search.logprob_weight, and policy.logprobs=auto"
        )
    think = config.policy.think
    if not offered.can_continue and (think.forced or (think.start and think.end)):
        yield (
            f"policy.think continues a reply, and the server of {info.model} begins a new one; "
            "set policy.think.forced=false policy.think.start=null policy.think.end=null"
        )
    if config.policy.backtrack_tokens:
        yield (
            f"policy.backtrack_tokens stop a completion at token ids, and {info.model} is served "
            "as text; set policy.backtrack_tokens=[]"
        )
    if config.training is not None:
        yield (
            f"training needs token ids, and {info.model} is served as text; choose engine=vllm, or "
            "a vLLM server with engine.tokenizer and engine.api=completions"
        )


def report_limits(engines: Mapping[str, Engine], sampling: Mapping[str, Sampling]) -> None:
    """Logs one line for each server that lacks something; `sampling`: the sampling
    parameters of the roles that have some.
    """
    seen: dict[str, EngineInfo] = {}
    for role, engine in engines.items():
        info = engine.info
        if info.capabilities is None or info.model in seen:
            continue
        seen[info.model] = info
        lacking = [*_lacking(info.capabilities)]
        if role in sampling:
            lacking += _not_applied(info.capabilities, sampling[role])
        if lacking:
            logger.warning("the server of %s lacks: %s", info.model, "; ".join(lacking))


def _lacking(offered: Capabilities) -> Iterator[str]:
    if not offered.can_continue:
        searches = ", ".join(whole_answer_searches())
        yield f"continuation of a thought (leaves search={searches})"
    elif offered.stop == "cut_here":
        yield "recognisable stop strings (a step costs up to policy.max_step_tokens)"
    if not offered.logprobs:
        yield "log-probabilities (excludes searches and critics that read them)"
    if not offered.top_logprobs:
        yield "probabilities of given words (excludes critic.kind=token)"
    if not offered.several:
        yield "n completions of one request (n requests are sent)"
    if not offered.seed:
        yield "seeds (a run cannot be repeated exactly)"
    if not offered.usage:
        yield "token counts (usage is estimated)"


def _not_applied(offered: Capabilities, sampling: Sampling) -> list[str]:
    neutral = Sampling()
    return [
        f"{name} (policy.{name}={getattr(sampling, name)} is not applied)"
        for name in _RESTRICTIONS
        if getattr(sampling, name) != getattr(neutral, name) and name not in offered.sampling
    ]
