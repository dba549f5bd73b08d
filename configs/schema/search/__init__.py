"""Search strategies: one group of options for each, chosen with `search=NAME`.

A new strategy is a class with its own `strategy` literal, added to `SearchConfig`; the
group option, `--help` and the tests follow from it. `graphs.strategies.build` maps it
to its implementation.
"""

from typing import Annotated

from pydantic import Field

from configs.schema.search.base import AnswerSelection, ScoreAggregation, SearchOptions
from configs.schema.search.compute_optimal import ComputeOptimalConfig
from configs.schema.search.critique_loop import CritiqueLoopConfig
from configs.schema.search.custom import CustomConfig
from configs.schema.search.levels import BeamConfig, DvtsConfig, ParticlesConfig, RebaseConfig
from configs.schema.search.mcts import MctsConfig
from configs.schema.search.posterior import AutoConfig, PosteriorConfig, PosteriorOptions
from configs.schema.search.revision import SequentialRevisionConfig
from configs.schema.search.samples import BestOfNConfig, GreedyConfig, SelfConsistencyConfig

SearchConfig = Annotated[
    GreedyConfig
    | BestOfNConfig
    | SelfConsistencyConfig
    | SequentialRevisionConfig
    | CritiqueLoopConfig
    | BeamConfig
    | DvtsConfig
    | RebaseConfig
    | ParticlesConfig
    | MctsConfig
    | PosteriorConfig
    | ComputeOptimalConfig
    | AutoConfig
    | CustomConfig,
    Field(discriminator="strategy"),
]
"""Any strategy, discriminated by `strategy`."""

__all__ = [
    "AnswerSelection",
    "AutoConfig",
    "BeamConfig",
    "BestOfNConfig",
    "ComputeOptimalConfig",
    "CritiqueLoopConfig",
    "CustomConfig",
    "DvtsConfig",
    "GreedyConfig",
    "MctsConfig",
    "ParticlesConfig",
    "PosteriorConfig",
    "PosteriorOptions",
    "RebaseConfig",
    "ScoreAggregation",
    "SearchConfig",
    "SearchOptions",
    "SelfConsistencyConfig",
    "SequentialRevisionConfig",
]
