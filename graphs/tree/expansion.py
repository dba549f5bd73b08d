"""What a strategy asks for."""

from __future__ import annotations

from typing import NamedTuple

from graphs.tree.events import Horizon


class Expansion(NamedTuple):
    """A request for continuations of one node. Siblings are one engine request with `n`
    samples.
    """

    node: int
    n: int = 1
    horizon: Horizon = "step"
    factor: str | None = None
    """Thought factor to write under; None lets the policy choose."""
    allow_backtracking: bool = False
    """Whether the policy may take steps back within a chain (policy.backtrack_tokens);
    else it ends there, with an empty step that has no answer."""
    temperature: float | None = None
    """None takes the policy's own."""
    adapter: str | None = None
    """LoRA adapter to write with; None: the model as it is."""
    mistakes: tuple[int, ...] = ()
    """Wrong children of `node` to show to the policy before it writes, oldest first."""
