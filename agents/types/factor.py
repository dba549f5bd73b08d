"""Thought factors: the discrete reasoning actions that a step can be written under.

They are configuration (configs/policy/*.yaml) and optional: with an empty list the
policy writes steps freely, which is the ablation. A factor conditions the policy by its
`opening`, the text that the step starts with: a special token for a model trained with
it, a few words ("Wait, ") for an ordinary chat model. In a search that tries every
factor, `after` restricts which factor may follow which.

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
"""The predecessor of a first step in `ThoughtFactor.after`; reserved, so no factor may
have this name."""


class ThoughtFactor(BaseModel):
    """One reasoning action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The factor's name, as it appears in traces: propose, correct, check, conclude
    ..."""
    opening: str
    """Text that the controller puts at the start of the step; its tokens are forced and
    never trained on."""
    description: str = ""
    """Purpose of the factor; shown in the audit view."""
    after: tuple[str, ...] | None = None
    """Names of the factors that it may follow; `question` allows it as a first step.
    None: it may follow any step."""
    horizon: Literal["step", "answer"] = "step"
    """Whether the policy samples one step or the rest of the thought."""


def legal_factors(factors: Sequence[ThoughtFactor], previous: str | None) -> list[ThoughtFactor]:
    """Returns the factors that may follow a step of the factor `previous`, or start a
    thought (`QUESTION`).

    After a step without a factor (None), only factors with `after=None` are legal.
    """
    return [factor for factor in factors if factor.after is None or previous in factor.after]


def pool_replicas(
    size: int, temperatures: Sequence[float], adapters: Sequence[str | None]
) -> Counter[tuple[float | None, str | None]]:
    """Returns the number of a factor's replicas for each pair of temperature and
    adapter.

    Args:
        size: total number of replicas. temperatures: sampling temperatures, assigned in
            turn; empty: None (the role's own) for all.
        adapters: LoRA adapters, assigned in turn; None is the base model. Empty: None
            for all.
    """
    return Counter(
        islice(zip(cycle(temperatures or (None,)), cycle(adapters or (None,)), strict=False), size)
    )
