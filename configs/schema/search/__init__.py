"""Search strategies: one group of options for each, chosen with `search=NAME`.

A new strategy is a class with its own `strategy` literal, added to `SearchConfig`: the group option, `--help` and the tests follow. What it
builds is said in `graphs.strategies.build`.
"""

from typing import Annotated

from pydantic import Field

from configs.schema.search.base import AnswerSelection, ScoreAggregation, SearchGroup
from configs.schema.search.critique_loop import CritiqueLoopConfig
from configs.schema.search.levels import BeamConfig
from configs.schema.search.samples import BestOfNConfig, GreedyConfig

SearchConfig = Annotated[GreedyConfig | BestOfNConfig | CritiqueLoopConfig | BeamConfig, Field(discriminator="strategy")]
"""Any strategy; `strategy` says which."""

__all__ = [
    "AnswerSelection",
    "BeamConfig",
    "BestOfNConfig",
    "CritiqueLoopConfig",
    "GreedyConfig",
    "ScoreAggregation",
    "SearchConfig",
    "SearchGroup",
]
