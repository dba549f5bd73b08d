"""Thought factors: the discrete reasoning actions that a step can be written under.

They are data, not code (configs/policy/*.yaml), and optional: with an empty list the
policy chooses freely, which is the ablation. A factor conditions the policy by its
`opening`, which is put in front of the step: a special token for a model that was
trained with it, a few words ("Wait, ") for an ordinary chat model. Where a search tries
every factor, `after` says which may follow which.

Sources: Reverse-o1 (Zhang Junlin, 2024): discrete actions such as "restate the goal",
"check the result", "correct the error"; rStar (arXiv:2408.06195) for actions with legal
successors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Literal

from pydantic import BaseModel, ConfigDict

QUESTION = "question"
"""What a first step follows, in `ThoughtFactor.after`; no factor may have this name."""


class ThoughtFactor(BaseModel):
    """One reasoning action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The factor's name, as it appears in traces: propose, correct, check, conclude
    ..."""
    opening: str
    """What the controller writes before the step; its tokens are marked as forced and
    never trained on."""
    description: str = ""
    """What the factor is for; shown in the audit view."""
    after: tuple[str, ...] | None = None
    """Names of the factors that it may follow, `question` among them where it may come
    first; None: it may come anywhere."""
    horizon: Literal["step", "answer"] = "step"
    """Whether it writes one step, or all that is left of the thought."""


def legal_factors(factors: Sequence[ThoughtFactor], previous: str | None) -> list[ThoughtFactor]:
    """Returns the factors that may follow a step of the factor `previous`; `QUESTION`
    asks for the first ones.

    Behind a step that was written freely (None) only those are legal that may come
    anywhere.
    """
    return [factor for factor in factors if factor.after is None or previous in factor.after]


def pool_replicas(
    size: int, temperatures: Sequence[float], adapters: Sequence[str | None]
) -> Counter[tuple[float | None, str | None]]:
    """Returns how many of the replicas that write a factor's step have each temperature
    and adapter.

    Args:
        size: replicas in all.
        temperatures: sampling temperatures that they take in turn; empty: None, the
            role's own, for all.
        adapters: LoRA adapters that they take in turn, None for the model without one;
            empty: None for all.
    """
    return Counter(
        islice(zip(cycle(temperatures or (None,)), cycle(adapters or (None,)), strict=False), size)
    )
