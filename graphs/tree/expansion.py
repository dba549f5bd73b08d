"""A strategy's request for samples."""

from __future__ import annotations

from typing import NamedTuple

from graphs.tree.events import Horizon


class Expansion(NamedTuple):
    """A request for `n` continuations of one node, sent to the engine as one request
    with `n` samples.
    """

    node: int
    n: int = 1
    horizon: Horizon = "step"
    factor: str | None = None
    """Thought factor of the samples; None: the policy chooses."""
    allow_backtracking: bool = False
    """Whether a chain may continue after a backtrack token (policy.backtrack_tokens);
    otherwise it aborts there, with an empty step without an answer."""
    temperature: float | None = None
    """Sampling temperature; None: policy.temperature."""
    adapter: str | None = None
    """LoRA adapter of the samples; None: the model without one."""
    mistakes: tuple[int, ...] = ()
    """Wrong children of `node` that the policy is shown, oldest first."""
