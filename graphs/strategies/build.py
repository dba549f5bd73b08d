"""Builds a strategy from a run's configuration. A strategy holds its own options; a
`SearchContext` holds what it needs of other config groups. Files that options name
(`search.selector_model`) are read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ValidationError

from agents.objects import load_object
from configs import RunConfig
from configs.messages import explain_custom
from configs.schema import PosteriorOptions
from configs.schema.base import ConfigGroup
from configs.schema.search import CustomConfig
from graphs.strategies.answers.auto import Auto
from graphs.strategies.answers.best_of_n import BestOfN
from graphs.strategies.answers.compute_optimal import ComputeOptimal
from graphs.strategies.answers.greedy import Greedy
from graphs.strategies.answers.revision import SequentialRevision
from graphs.strategies.answers.self_consistency import SelfConsistency
from graphs.strategies.base import SearchContext, Strategy
from graphs.strategies.levels.beam import Beam
from graphs.strategies.levels.dvts import Dvts
from graphs.strategies.levels.particles import Particles
from graphs.strategies.levels.rebase import Rebase
from graphs.strategies.posterior.fitted import AnswerModel
from graphs.strategies.posterior.posterior import Posterior
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
    "auto": Auto,
}
"""Strategies by the value of `search.strategy`."""


def build_strategy(
    config: RunConfig, canonical_answer: Callable[[str], str] = str.strip
) -> Strategy:
    """Returns the strategy that `config.search` describes; `canonical_answer` maps an
    answer to the form by which votes are counted.

    Raises:
        ValueError: see `load_answer_model`.
    """
    search: Any = config.search
    context = SearchContext(
        canonical=canonical_answer,
        max_depth=config.budget.max_depth,
        factors=config.policy.factors,
        can_backtrack=bool(config.policy.backtrack_tokens),
        answer_model=load_answer_model(search, canonical_answer)
        if isinstance(search, PosteriorOptions)
        else None,
    )
    if isinstance(search, CustomConfig):
        return _custom(search, context)
    return STRATEGIES[search.strategy](search, context)


def _custom(search: CustomConfig, context: SearchContext) -> Strategy:
    """Returns the custom strategy that `search.object` names.

    Raises:
        ValueError: the object is no strategy, or `search.options` does not fit it.
    """
    strategy = load_object(search.object, "search.object")
    if not (isinstance(strategy, type) and issubclass(strategy, Strategy)):
        raise ValueError(
            f"search.object ({search.object}) must be a class derived from "
            "graphs.strategies.base.Strategy"
        )
    kind = get_type_hints(strategy)["config"]
    if not (isinstance(kind, type) and issubclass(kind, ConfigGroup)):
        raise ValueError(
            f"{search.object}.config must be annotated with a class of options derived from "
            "configs.schema.base.ConfigGroup"
        )
    try:
        return strategy(kind(**(search.options or {})), context)
    except ValidationError as error:
        raise ValueError(
            explain_custom(error, "search", search.object, list(kind.model_fields))
        ) from None


def load_answer_model(
    search: PosteriorOptions, canonical_answer: Callable[[str], str] = str.strip
) -> AnswerModel | None:
    """Returns the model in `search.selector_model`; None if that is null.

    Raises:
        ValueError: the file holds no model, or one fitted with the other value of
            `search.many_answers`.
    """
    if search.selector_model is None:
        return None
    model = AnswerModel.load(Path(search.selector_model).expanduser(), canonical=canonical_answer)
    if model.many_answers != search.many_answers:
        raise ValueError(
            f"search.many_answers ({str(search.many_answers).lower()}) must be what "
            f"search.selector_model ({search.selector_model}) was "
            f"fitted with, {str(model.many_answers).lower()}; set it so, or fit another one "
            "(python -m graphs.fit_selector)"
        )
    return model
