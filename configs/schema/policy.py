"""Options of the policy: the role that writes the steps of a thought."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.types import ThinkSettings, ThoughtFactor
from configs.schema.base import OPERATIONAL, ConfigGroup, PromptFamily, TemplateOptions
from configs.schema.engine import EngineConfig


class PolicyConfig(ConfigGroup):
    """The reasoner that writes steps."""

    engine: EngineConfig | None = None
    """The policy's own engine; null: the shared engine. Set with
    engine@policy.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens;
    chat, math (boxed answers) or code for any model with a chat template; or a YAML
    file of your own (agents/prompts/family.py)."""
    chat_template_kwargs: TemplateOptions | None = None
    """Variables of the model's chat template: {enable_thinking: false}; null: none."""
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    """How much a model thinks whose chat template has a switch for it, unless
    chat_template_kwargs sets the switch: reasoning_effort, or thinking on (medium,
    high) or off (low). Set by effort=NAME; null: the template's default."""
    samples_from: str | None = None
    """Folder of a stored run whose samples are taken instead of new ones, so that
    another critic judges the same answers; for searches that sample whole answers.
    null: the policy samples."""
    factors: tuple[ThoughtFactor, ...] = ()
    """Thought factors, under one of which a step can be sampled, each {name, opening,
    description}; empty: the policy chooses freely."""
    backtrack_tokens: tuple[str, ...] = ()
    """Tokens with which the policy begins to backtrack ("Wait, step 2 is wrong"). A
    search that backtracks in its tree stops a completion there, because its own retry
    is better than the policy's. Empty: completions are never stopped there."""
    temperature: float | None = Field(None, ge=0, le=10)
    """Sampling temperature; 0: greedy. null, here and in the next four options: as in
    the model's generation_config.json, or else as in the prompt family, or else
    neutral."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Share of the probability from which tokens are sampled. With this or the next
    three options not neutral the recorded logprobs no longer match the sampler, which
    biases training."""
    top_k: int | None = Field(None, ge=0)
    """Number of most probable tokens from which tokens are sampled; 0: all."""
    min_p: float | None = Field(None, ge=0, le=1)
    """Least probability of a sampled token, as a share of the largest; 0: none."""
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    """Penalty of tokens that occurred before; 1: none. Applies at temperature 0,
    too."""
    logprobs: Annotated[Literal["auto", "always"], OPERATIONAL] = "auto"
    """When log-probabilities of the sampled tokens are recorded; the samples do not
    depend on it. auto: if the search or the critic reads them; always: in every run,
    for graphs.evaluation.calibration and graphs.evaluation.fit_selector, which read
    them from stored thoughts."""
    think: ThinkSettings | None = None
    """Delimiters of the model's thoughts, {start, end, closing, forced}; null: those of
    its tokenizer or chat template, if there are any."""
    step_boundary: Literal["blank_line", "newline", "sentence", "marker", "tokens"] = "blank_line"
    """Where a step ends: after a blank line, a line or a sentence; before a sentence
    that begins with a word of thought ("So", "Wait"); or after max_step_tokens tokens.
    Only `tokens` splits formulas and code blocks, or a heading from its value."""
    min_step_characters: int = Field(100, ge=0)
    """Shortest step of step_boundary=marker, in characters."""
    max_step_characters: int = Field(600, ge=1)
    """Length in characters beyond which a step of step_boundary=marker ends with the
    next sentence."""
    max_step_tokens: int = Field(48, ge=1)
    """Longest step that is sampled in one piece, in tokens. A step that is cut there is
    judged as it stands, and the next one continues it, in the middle of a sentence if
    need be."""
    max_answer_tokens: int = Field(256, ge=1)
    """Longest completion, in tokens, if a strategy samples through to the answer."""

    @model_validator(mode="after")
    def _factors_have_different_names(self) -> Self:
        names = [factor.name for factor in self.factors]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"policy.factors names {', '.join(sorted(twice))} twice; give every factor a name "
                "of its own"
            )
        return self
