"""Options of the reflector: the role that decides what follows a wrong step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup, PromptFamily, TemplateOptions
from configs.schema.engine import EngineConfig

ReflectorKind = Literal["none", "rules", "model"]
"""`none`: wrong steps are resampled. `rules`: fixed rules without a model. `model`: a
model names the mistake."""


class ReflectorConfig(ConfigGroup):
    """Decides whether to continue, reflect, backtrack or terminate."""

    kind: ReflectorKind = "model"
    """Kind of reflector. none: wrong steps are resampled; rules: fixed rules decide;
    model: a model names the mistake and the action."""
    engine: EngineConfig | None = None
    """The reflector's own engine; null: the shared engine. Set with
    engine@reflector.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens,
    chat for any model with a chat template; or a YAML file of your own."""
    chat_template_kwargs: TemplateOptions | None = None
    """Variables of the model's chat template: {enable_thinking: false}; null: none."""
    max_tokens: int = Field(32, ge=1)
    """Longest reflection, in tokens."""
    temperature: float = Field(0.0, ge=0, le=10)
    """Sampling temperature of the reflection; 0: greedy."""
