"""Options of the summarizer: the role that summarizes the hidden thought for the
user.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.schema.base import ConfigGroup, PromptFamily, TemplateOptions
from configs.schema.engine import EngineConfig

SummarizerKind = Literal["extractive", "model", "neutral"]
"""`extractive`: the kept steps, word for word, without a model. `model`: written by a
model. `neutral`: counts alone."""


class SummarizerConfig(ConfigGroup):
    """Turns question and hidden thought into the summary that the user sees."""

    kind: SummarizerKind = "extractive"
    """Kind of summary. extractive: the kept steps, word for word, if the prompts of
    summarizer and policy have one style, else neutral; model: written by a model,
    neutral if the model writes none or repeats the thought; neutral: only the number
    of steps."""
    engine: EngineConfig | None = None
    """The summarizer's own engine; null: the shared engine. Set with
    engine@summarizer.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens,
    chat for any model with a chat template; or a YAML file of your own."""
    chat_template_kwargs: TemplateOptions | None = None
    """Variables of the model's chat template: {enable_thinking: false}; null: none."""
    max_characters: int = Field(600, ge=40)
    """Longest summary, in characters."""
    max_tokens: int = Field(128, ge=1)
    """Longest completion of a model that writes the summary, in tokens."""
