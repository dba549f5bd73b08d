"""Group-normalised advantages, and the truncated importance ratio between the policy
that is trained and the one that sampled.

Legend: B completions in consecutive groups of G, T tokens. Plain functions of tensors.

Sources: GRPO (DeepSeekMath, arXiv:2402.03300, section 4.1.2, outcome supervision): A_i
= (r_i - mean(r)) / std(r); without the division: Dr. GRPO (arXiv:2503.20783); groups
without variance are dropped: dynamic sampling of DAPO (arXiv:2503.14476, section 3.2),
without drawing others in their place; truncated importance sampling token by token: w =
min(pi_trainer / pi_sampler, C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# a smaller spread of rewards is rounding error, which the division would amplify
_FLOOR = 1e-6

Scale = Literal["group", "batch", "none"]


@dataclass(frozen=True, slots=True)
class Advantages:
    """Advantages of a batch of completions."""

    values: Tensor
    """[B]; 0 in groups that are dropped."""
    kept: Tensor
    """[B] bool; False in groups without variance, which carry no preference, and in
    groups with an unknown reward."""
    dropped_groups: int


def group_advantages(rewards: Tensor, group_size: int, *, scale: Scale = "group") -> Advantages:
    """Returns the advantage of each completion over its group.

    Args:
        rewards: [B]; NaN if unknown, which drops the group.
        group_size: G; groups are consecutive.
        scale: standard deviation that divides the advantages: of the group, of all
            groups with known rewards, or none.

    Raises:
        ValueError: B is not a multiple of G, G is below 2, or a reward is infinite.
    """
    if rewards.dim() != 1 or group_size < 2 or rewards.numel() % group_size:
        raise ValueError(
            f"rewards of shape {list(rewards.shape)} do not make groups of {group_size}; the group "
            "size must be at least 2"
        )
    if bool(torch.isinf(rewards).any()):
        raise ValueError("a reward is infinite; a reward that is not known is NaN")
    groups = rewards.double().view(-1, group_size)
    centred = groups - groups.mean(1, keepdim=True)
    spread = groups.std(1, keepdim=True, correction=1)
    varied = spread > _FLOOR  # False of NaN, too
    if scale == "group":
        centred = centred / spread.clamp(min=_FLOOR)
    elif scale == "batch":
        known = groups[~groups.isnan().any(1)].reshape(-1)
        centred = centred / known.std(correction=1).clamp(min=_FLOOR) if known.numel() else centred
    values = torch.where(varied, centred, torch.zeros_like(centred))
    kept = varied.expand_as(groups).reshape(-1)
    return Advantages(values.view(-1).float(), kept, int((~varied).sum()))


def token_advantages(advantages: Tensor, mask: Tensor) -> Tensor:
    """Returns [B, T]: each completion's advantage [B] at each of its tokens, 0 where
    `mask` [B, T] is 0.
    """
    return advantages.unsqueeze(1) * mask.to(advantages.dtype)


def importance_weights(
    trainer_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor, *, cap: float
) -> Tensor:
    """Returns [B, T] truncated importance weights min(exp(trainer - sampler), cap); 1
    where `mask` [B, T] is 0.

    Both logprobs are [B, T], in nats, of the same tokens under the same temperature.
    """
    difference = torch.where(
        mask.bool(), trainer_logprobs - sampler_logprobs, torch.zeros_like(trainer_logprobs)
    )
    return difference.exp().clamp(max=cap)
