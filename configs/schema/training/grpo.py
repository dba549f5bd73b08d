"""Options of `training=grpo`: reinforcement learning with rollouts from the serving
engine.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.objects import NAME
from configs.schema.base import ConfigGroup
from configs.schema.training.base import PolicyTraining


class GrpoConfig(ConfigGroup):
    """Outcome-reward GRPO with rollouts from the serving engine.

    Source: DeepSeekMath (arXiv:2402.03300), section 4; dr_grpo: arXiv:2503.20783; dapo:
    arXiv:2503.14476.
    """

    learning_rate: float = Field(1e-5, gt=0, le=1)
    """Peak learning rate."""
    max_steps: int = Field(20, ge=1)
    """Optimizer steps."""
    prompts_per_step: int = Field(16, ge=1)
    """Questions per optimizer step."""
    num_generations: int = Field(8, ge=2)
    """Group size (G): completions per question; their mean reward is the baseline."""
    max_completion_tokens: int = Field(256, ge=1)
    """Longest completion, in tokens."""
    temperature: float = Field(1.0, gt=0, le=10)
    """Sampling temperature of the rollouts."""
    reward: str = Field("outcome", pattern=f"^outcome$|{NAME}")
    """Reward of a completion. outcome: 1 for a right answer, else 0;
    package.module:name: a function of a question and a `training.data.rollouts.Rollout`
    that returns a number, or None if the reward is unknown."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the initial policy; 0: no reference model is
    loaded."""
    epsilon: float = Field(0.2, gt=0, lt=1)
    """Clipping range of the policy ratio."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "dapo"
    """How token losses are averaged: per completion (grpo), by a constant (dr_grpo),
    over all tokens (dapo, bnpo)."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Standard deviation that divides the advantages: of the group, of the batch, or
    none."""
    importance_cap: float | None = Field(2.0, gt=0)
    """Cap (C) of the token-level importance ratio between trainer and sampler; null: no
    correction."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""


class GrpoTrainingConfig(PolicyTraining):
    """Reinforcement learning with rollouts from the serving engine."""

    method: Literal["grpo"] = "grpo"
    """Reinforcement learning with rollouts from the serving engine."""
    grpo: GrpoConfig = GrpoConfig()
    """Options of the reinforcement learning."""

    @property
    def asks_questions(self) -> bool:
        return True
