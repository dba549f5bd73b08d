"""Options of the critic: the role that judges steps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import Group, PromptFamily
from configs.schema.engine import EngineConfig

CriticKind = Literal["none", "token", "working"]
"""`none`: nobody judges. `token`: the probability of one next token. `working`: a short written check, then the verdict."""


class CriticConfig(Group):
    """The judge of single steps."""

    kind: CriticKind = "working"
    """none: nobody judges; token: the probability of one next token; working: a short written check, then the verdict."""
    engine: EngineConfig | None = None
    """The critic's own engine; null: the shared one. Chosen with engine@critic.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens, chat for any model with a chat template."""
    max_tokens: int = Field(24, ge=1)
    """Longest written check of the working critic, in tokens, its verdict included."""
    calibration: str | None = "bundled"
    """File that maps scores to log-likelihood ratios; bundled: the one that comes with the critic; null: the score's own log-odds."""
    reason: bool = False
    """Ask for a written reason after each verdict of wrong; it costs tokens and becomes part of the long thought."""
