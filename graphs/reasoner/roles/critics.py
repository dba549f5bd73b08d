"""The registry of critics: maps a class of options to its critic.

A new critic needs a case in `build_critic`; without one mypy reports an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from agents.critics import (
    ArithmeticCritic,
    CalibratedCritic,
    Critic,
    CriticSettings,
    GenerativeCritic,
    LengthCritic,
    LogprobCritic,
    OracleCritic,
    RandomCritic,
    TokenCritic,
    ValueHead,
    WorkingCritic,
)
from agents.critics.base import ScopeOf
from agents.critics.calibration import Calibration, PlattScaling
from agents.engines.base import Classifier, Engine, Generator
from agents.engines.weights import folder_of
from agents.objects import load_object
from agents.pocket.domain import Domain
from agents.prompts import Prompts
from agents.prompts.fit import check_shares_ids, prompts_for
from configs.schema import (
    ArithmeticCriticConfig,
    CriticConfig,
    CustomCriticConfig,
    JudgingCritic,
    LengthCriticConfig,
    LogprobCriticConfig,
    NoCriticConfig,
    OracleCriticConfig,
    RandomCriticConfig,
    ScopedCritic,
    SpeakingCritic,
    TokenCriticConfig,
    ValueHeadConfig,
    WorkingCriticConfig,
)

BUNDLED, IDENTITY = "bundled", "identity"
"""Values of critic.calibration that name no file."""


@dataclass(frozen=True)
class CriticContext:
    """Engines, prompts and settings that critics use beside their own options."""

    engines: Mapping[str, Engine]
    """Open engines by role: policy; heads and critic if they have engines."""
    policy_prompts: Prompts
    domain: Domain
    seed: int
    """run.seed."""

    def scope_of(self, options: ScopedCritic) -> ScopeOf:
        """Returns a function from a question's text to the scope of its family;
        `options.scope` for a question of no family.
        """
        return lambda text: self.domain.scope(text) or options.scope


def build_critic(options: CriticConfig, context: CriticContext) -> Critic | None:
    """Returns the critic that `options` describe; None for `critic=none`.

    Raises:
        ValueError: the critic does not fit its engine, its calibration, or the options
            of its class.
        AssertionError: no case handles this class of options.
    """
    critic = _build(options, context)
    if critic is None or not isinstance(options, JudgingCritic):
        return critic
    calibration = _calibration(options, folder_of(context.engines["policy"].info.model))
    if calibration is None or isinstance(critic, GenerativeCritic):
        return critic
    return CalibratedCritic(critic, calibration, options.reject_below, context.domain.family)


def _build(options: CriticConfig, context: CriticContext) -> Critic | None:
    match options:
        case NoCriticConfig():
            return None
        case TokenCriticConfig():
            return _speaking(TokenCritic, options, context)
        case WorkingCriticConfig():
            return _speaking(WorkingCritic, options, context)
        case ArithmeticCriticConfig():
            return ArithmeticCritic(
                options.evidence_of_true, options.evidence_of_false, context.scope_of(options)
            )
        case ValueHeadConfig():
            heads = context.engines["heads"]
            assert isinstance(heads, Classifier)  # build_resources refuses others
            return ValueHead(heads, context.policy_prompts)
        case RandomCriticConfig():
            return RandomCritic(context.seed, context.scope_of(options))
        case LengthCriticConfig():
            return LengthCritic(context.scope_of(options))
        case LogprobCriticConfig():
            return LogprobCritic(context.scope_of(options))
        case OracleCriticConfig():
            return OracleCritic(context.seed, options.flip_rate)
        case CustomCriticConfig():
            return _custom(options)
        case unknown:
            assert_never(unknown)


def _speaking(
    critic: type[GenerativeCritic], options: SpeakingCritic, context: CriticContext
) -> GenerativeCritic:
    """Returns a critic that asks a language model. With continuation prompts (the
    pocket model), the scope of verdicts depends on the question's family.
    """
    policy = context.engines["policy"]
    engine = context.engines.get("critic", policy)
    assert isinstance(engine, Generator) and isinstance(policy, Generator)
    prompts = prompts_for(options.prompts, engine, context.domain, options.chat_template_kwargs)
    check_shares_ids("critic", prompts.family, engine, policy)
    return critic(
        engine,
        prompts,
        CriticSettings(options.max_tokens, options.reason, options.reject_below),
        calibration=_calibration(options, folder_of(engine.info.model)),
        family_of=context.domain.family,
        scope_of=context.scope_of(options)
        if prompts.family.style == "continuation"
        else lambda text: options.scope,
    )


def _calibration(options: JudgingCritic, model: Path) -> Calibration | None:
    """Returns the critic's calibration: bundled, from a file, or None."""
    if options.calibration is None:
        return None
    if options.calibration == IDENTITY:
        return Calibration({"*": PlattScaling()})
    if options.calibration == BUNDLED:
        path = model / "calibration.json"
        speaks = isinstance(options, SpeakingCritic)  # stored runs of others have the word
        return Calibration.load(path, options.kind) if speaks and path.is_file() else None
    return Calibration.load(Path(options.calibration), options.kind)


def _custom(options: CustomCriticConfig) -> Critic:
    """Returns the critic of your own that `critic.object` names.

    Raises:
        ValueError: it is no class with a method `judge`, or does not take these
            options.
    """
    made = load_object(options.object, "critic.object")
    if not (isinstance(made, type) and callable(getattr(made, "judge", None))):
        raise ValueError(
            f"critic.object ({options.object}) must be a class with a method judge; see "
            "agents.critics.base.Critic"
        )
    try:
        critic: Critic = made(**(options.options or {}))
    except TypeError as error:
        raise ValueError(
            f"critic.options do not fit {options.object}: {error}; correct their names"
        ) from error
    return critic
