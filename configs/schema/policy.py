"""Options of the policy: the role that writes the steps of a thought."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.types import ThoughtFactor
from configs.schema.base import OPERATIONAL, ConfigGroup, PromptFamily
from configs.schema.engine import EngineConfig


class PolicyConfig(ConfigGroup):
    """The reasoner that writes steps."""

    engine: EngineConfig | None = None
    """The policy's own engine; null: the shared engine. Set with
    engine@policy.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens,
    chat for any model with a chat template."""
    factors: tuple[ThoughtFactor, ...] = ()
    """Thought factors, under one of which a step can be sampled, each {name, opening,
    description}; empty: the policy chooses freely."""
    backtrack_tokens: tuple[str, ...] = ()
    """Tokens with which the policy begins to backtrack ("Wait, step 2 is wrong"). A
    search that backtracks in its tree stops a completion there, because its own retry
    is better than the policy's. Empty: completions are never stopped there."""
    temperature: float = Field(1.0, ge=0, le=10)
    """Sampling temperature; 0: greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling mass. Below 1 the recorded logprobs no longer match the sampler,
    which biases training."""
    logprobs: Annotated[Literal["auto", "always"], OPERATIONAL] = "auto"
    """When log-probabilities of the sampled tokens are recorded; the samples do not
    depend on it. auto: if the search or the critic reads them; always: in every run,
    for graphs.evaluation.calibration and graphs.evaluation.fit_selector, which read
    them from stored thoughts."""
    max_step_tokens: int = Field(48, ge=1)
    """Longest step, in tokens; a longer step is truncated and marked as unfinished."""
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
