"""Options of `training=heads`: policy and value heads from the trees of finished
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.schema.base import OPERATIONAL, ConfigGroup
from configs.schema.training.base import TrainingOptions


class HeadsFit(ConfigGroup):
    """Options of fitting heads: one linear layer over the hidden state of the last
    token.

    Source: AlphaZero (arXiv:1712.01815), with outcomes in [0, 1] and a cross-entropy in
    place of the squared error.
    """

    finetune: Literal["full", "head"] = "full"
    """Trained weights. full: a copy of the policy and the linear layer; head: the
    linear layer alone, over the policy's own hidden states."""
    learning_rate: float = Field(3e-4, gt=0, le=1)
    """Peak learning rate."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the nodes."""
    batch_size: int = Field(64, ge=1)
    """Nodes per optimizer step."""
    policy_weight: float = Field(1.0, ge=0)
    """Weight of the policy head's loss relative to the value head's."""
    nodes_per_question: int = Field(16, ge=1)
    """Most nodes of one reasoning tree used for training, sampled at random."""
    held_out: float = Field(0.1, gt=0, lt=1)
    """Share of the questions held out for measuring the heads."""
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    """Share of the optimizer steps used for warm-up of the learning rate."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of the optimizer."""


class HeadsTrainingConfig(TrainingOptions):
    """Trains policy and value heads on the trees and outcomes of finished runs."""

    method: Literal["heads"] = "heads"
    """Policy and value heads on the traces of searches."""
    from_runs: tuple[Path, ...] = Field(min_length=1)
    """Run directories whose trees are the training data. The value head learns from the
    outcomes below a node; the policy head from MCTS visits per thought factor, or from
    right answers per factor in other trees (best_of_n is a good start)."""
    heads: HeadsFit = HeadsFit()
    """Options of the fit."""
    micro_batch_size: Annotated[int, OPERATIONAL] = Field(64, ge=1)
    """Nodes per forward and backward pass on a device; gradients are accumulated over
    an optimizer step."""

    @property
    def needs_local_weights(self) -> bool:
        return True
