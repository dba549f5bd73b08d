"""From options to a strategy.

An option and the field that it fills have one name. A strategy that has a field `selector`, `believer`, `max_depth` or `factors` gets it
from the whole configuration: the choice among answers, the assumptions, the budget's depth, the policy's thought factors. A file that an
option names (`search.selector_model`) is read here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from configs import RunConfig
from configs.schema import BeamConfig, BestOfNConfig, ComputeOptimalConfig, DvtsConfig, ParticlesConfig, PosteriorConfig, RebaseConfig
from configs.schema.search import SearchGroup
from configs.schema.search.base import Selecting
from graphs.strategies.answers.best_of_n import BestOfN
from graphs.strategies.answers.compute_optimal import ComputeOptimal
from graphs.strategies.answers.greedy import Greedy
from graphs.strategies.answers.revision import SequentialRevision
from graphs.strategies.answers.self_consistency import SelfConsistency
from graphs.strategies.base import Strategy
from graphs.strategies.levels.beam import Beam
from graphs.strategies.levels.dvts import Dvts
from graphs.strategies.levels.particles import Particles
from graphs.strategies.levels.rebase import Rebase
from graphs.strategies.posterior.belief import Believer
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.strategies.posterior.posterior import Posterior
from graphs.strategies.selection import Selector
from graphs.strategies.trees.critique_loop import CritiqueLoop
from graphs.strategies.trees.mcts import Mcts

STRATEGIES: Mapping[str, type[Strategy]] = {
    "greedy": Greedy,
    "best_of_n": BestOfN,
    "self_consistency": SelfConsistency,
    "sequential_revision": SequentialRevision,
    "critique_loop": CritiqueLoop,
    "beam": Beam,
    "dvts": Dvts,
    "rebase": Rebase,
    "particles": Particles,
    "mcts": Mcts,
    "posterior": Posterior,
    "compute_optimal": ComputeOptimal,
}
"""Strategies by the name that `search.strategy` knows them by."""

_CONFIGS: Mapping[str, type[Any]] = {
    "best_of_n": BestOfNConfig,
    "beam": BeamConfig,
    "dvts": DvtsConfig,
    "rebase": RebaseConfig,
    "particles": ParticlesConfig,
    "posterior": PosteriorConfig,
}
"""Options of the strategies that can go on from a probe."""

GIVE_UP_RATE = 0.3
"""`search.give_up_rate` of a policy that doubts. Fits best on validation questions of the pocket; counted there were .12."""

_PARTS: Mapping[str, type[Selector] | type[Believer]] = {"selector": Selector, "believer": Believer}
"""Fields that take several options together."""


def build_strategy(config: RunConfig, canonical_answer: Callable[[str], str] = str.strip) -> Strategy:
    """Returns the strategy that `config.search` describes; answers are counted in the form that `canonical_answer` gives them."""
    return _build(config.search, config, canonical_answer)


def load_answer_model(search: PosteriorConfig, canonical_answer: Callable[[str], str] = str.strip) -> AnswerModel | None:
    """Returns the fitted beliefs that a posterior search goes by; None where it has none.

    Raises:
        ValueError: `search.selector_model` holds none, or is for the other kind of questions.
    """
    if search.selector_model is None:
        return None
    model = AnswerModel.load(Path(search.selector_model).expanduser(), canonical=canonical_answer)
    if model.many_answers != search.many_answers:
        raise ValueError(
            f"search.many_answers ({str(search.many_answers).lower()}) must be what search.selector_model ({search.selector_model}) was "
            f"fitted with, {str(model.many_answers).lower()}; set it so, or fit another one (python -m graphs.fit_selector)"
        )
    return model


def _build(search: SearchGroup, config: RunConfig, canonical_answer: Callable[[str], str]) -> Strategy:
    options: dict[str, Any] = {name: getattr(search, name) for name in type(search).model_fields}
    if isinstance(search, PosteriorConfig) and search.give_up_rate is None:
        options["give_up_rate"] = GIVE_UP_RATE if config.policy.doubts else 0.0
    if isinstance(search, ComputeOptimalConfig):
        options |= _searchers(search, options, config, canonical_answer)
    strategy: Any = STRATEGIES[options["strategy"]]
    fields = {field.name for field in dataclasses.fields(strategy)}
    for name in _PARTS.keys() & fields:
        part = _PARTS[name]
        own = {field.name: options[field.name] for field in dataclasses.fields(part) if field.name in options}
        options[name] = part(**own, canonical=canonical_answer)
    if isinstance(search, PosteriorConfig):
        options["answer_model"] = load_answer_model(search, canonical_answer)
    options |= {"max_depth": config.budget.max_depth, "factors": config.policy.factors}
    built: Strategy = strategy(**{name: value for name, value in options.items() if name in fields})
    return built


def _searchers(
    search: ComputeOptimalConfig, options: Mapping[str, Any], config: RunConfig, canonical: Callable[[str], str]
) -> dict[str, Any]:
    """Returns the strategies of compute-optimal search, and how it chooses where it does not need them."""
    built: dict[str, Any] = {"selection": "majority"}
    for bin_name in ("medium", "hard"):
        kind = _CONFIGS[options[bin_name]]
        shared = {name: options[name] for name in Selecting.model_fields} if issubclass(kind, Selecting) else {}
        built[bin_name] = _build(kind(num_samples=options[f"{bin_name}_samples"], **shared), config, canonical)
    return built
