"""How a policy is trained, chosen with `training=sft | grpo | wheel`, and heads for it with `training=heads`.

`sft` learns from the traces of finished runs. `grpo` samples new ones: its questions are the train split of the task. `wheel`
does one after the other, with publication and evaluation in between. Held-out questions for the evaluation are those of
`task.split`, so that this must not be train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.schema.base import OPERATIONAL, Group

FineTune = Literal["full", "lora"]
"""`full`: all weights. `lora`: low-rank adapters, merged before they are served."""


class LoraConfig(Group):
    """Low-rank adapters. Source: LoRA (arXiv:2106.09685)."""

    rank: int = Field(16, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(32.0, gt=0)
    """Scale of the adapters: the update is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the adapter's inputs dropped in training."""


class SftConfig(Group):
    """Supervised fine-tuning on long thoughts."""

    thought: Literal["shortcut", "journey"] = "journey"
    """shortcut: the right path alone; journey: with its wrong turns, reflections and backtracks."""
    learning_rate: float = Field(1e-4, gt=0, le=1)
    """Peak learning rate."""
    epochs: float = Field(2.0, gt=0)
    """Passes over the records."""
    max_steps: int | None = Field(None, ge=1)
    """Most optimizer steps; null: as many as the epochs need."""
    batch_size: int = Field(16, ge=1)
    """Records per optimizer step."""
    max_length: int | None = Field(None, ge=2)
    """Longest record, in tokens; longer ones are left out and counted. null: the context of the model."""
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""


class GrpoConfig(Group):
    """Outcome-reward GRPO with rollouts from the serving engine.

    Source: DeepSeekMath (arXiv:2402.03300), section 4; dr_grpo: arXiv:2503.20783; dapo: arXiv:2503.14476.
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
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the initial policy; 0 keeps no reference model in memory."""
    epsilon: float = Field(0.2, gt=0, lt=1)
    """Clipping range of the policy ratio."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "dapo"
    """How token losses are averaged: per completion (grpo), by a constant (dr_grpo), over all tokens (dapo, bnpo)."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Standard deviation that advantages are divided by: the group's, the batch's, or none."""
    importance_cap: float | None = Field(2.0, gt=0)
    """Cap (C) of the importance ratio between trainer and sampler, token by token; null: no correction."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the optimizer."""


class _Training(Group):
    """What all trainings share."""

    finetune: FineTune = "full"
    """full: all weights; lora: low-rank adapters, merged before they are served."""
    lora: LoraConfig = LoraConfig()
    """Options of the adapters; read where finetune is lora."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the trained weights."""
    micro_batch_size: Annotated[int, OPERATIONAL] = Field(16, ge=1)
    """Records computed at once on a device; more are accumulated to one optimizer step."""
    publish: bool = True
    """Load the trained weights into the running engine and compare logprobs with the trainer's."""
    evaluate: int = Field(500, ge=0)
    """Held-out questions answered greedily by the policy alone before and after; 0: no evaluation."""
    output: Annotated[Path | None, OPERATIONAL] = None
    """Folder of the trained model; null: `model` in the directory of the run."""
    seed: int = Field(0, ge=0)
    """Seed of shuffling, dropout and rollouts."""


class SftTrainingConfig(_Training):
    """Supervised fine-tuning on the traces of finished runs."""

    method: Literal["sft"] = "sft"
    """Supervised fine-tuning on traces."""
    from_runs: tuple[Path, ...] = Field(min_length=1)
    """Run directories whose traces are learned from."""
    sft: SftConfig = SftConfig()
    """Options of the fine-tuning."""


class GrpoTrainingConfig(_Training):
    """Reinforcement learning with rollouts from the serving engine."""

    method: Literal["grpo"] = "grpo"
    """Reinforcement learning with rollouts from the serving engine."""
    grpo: GrpoConfig = GrpoConfig()
    """Options of the reinforcement learning."""


class WheelTrainingConfig(_Training):
    """One turn of the wheel: fine-tuning on traces, then reinforcement learning, published and evaluated before and after."""

    method: Literal["wheel"] = "wheel"
    """Fine-tuning on traces, then reinforcement learning, evaluated before and after."""
    from_runs: tuple[Path, ...] = ()
    """Run directories whose traces are learned from; empty: the traces that this command writes first, on the train split."""
    traces: int = Field(64, ge=1)
    """Questions of the train split that are thought about first, where from_runs is empty."""
    sft: SftConfig = SftConfig()
    """Options of the fine-tuning."""
    grpo: GrpoConfig = GrpoConfig()
    """Options of the reinforcement learning."""


class HeadsFit(Group):
    """How heads are learned: one linear layer over the hidden state of the last token.

    Source: AlphaZero (arXiv:1712.01815), with outcomes in [0, 1] and a cross-entropy in place of the squared error.
    """

    finetune: Literal["full", "head"] = "full"
    """full: all weights of the copy that the heads are read from; head: the linear layer alone, over the policy's own hidden states."""
    learning_rate: float = Field(3e-4, gt=0, le=1)
    """Peak learning rate."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the nodes."""
    batch_size: int = Field(64, ge=1)
    """Nodes per optimizer step."""
    policy_weight: float = Field(1.0, ge=0)
    """Weight of the policy head's loss beside the value head's."""
    nodes_per_question: int = Field(16, ge=1)
    """Most nodes of one reasoning tree that are learned from, drawn at random."""
    held_out: float = Field(0.1, gt=0, lt=1)
    """Share of the questions that the heads are measured on and not trained with."""
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of the optimizer."""


class HeadsTrainingConfig(Group):
    """Policy and value heads, from where the searches of finished runs went and how their thoughts ended."""

    method: Literal["heads"] = "heads"
    """Policy and value heads on the traces of searches."""
    from_runs: tuple[Path, ...] = Field(min_length=1)
    """Run directories whose trees are learned from: how thoughts ended for the value head; for the policy head, under which
    thought factors MCTS went on, or right answers were found (best_of_n: a good beginning)."""
    heads: HeadsFit = HeadsFit()
    """Options of the fit."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the trained weights."""
    micro_batch_size: Annotated[int, OPERATIONAL] = Field(64, ge=1)
    """Nodes computed at once on a device; more are accumulated to one optimizer step."""
    output: Annotated[Path | None, OPERATIONAL] = None
    """Folder of the model with heads; null: `model` in the directory of the run."""
    seed: int = Field(0, ge=0)
    """Seed of drawing and shuffling."""


TrainingConfig = Annotated[
    SftTrainingConfig | GrpoTrainingConfig | WheelTrainingConfig | HeadsTrainingConfig, Field(discriminator="method")
]
"""Any training; `method` says which."""
