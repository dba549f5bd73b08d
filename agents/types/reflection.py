"""The reflector's decision after steps were judged wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types.hidden import Hidden

ReflectionAction = Literal["continue", "reflect", "backtrack", "terminate"]
"""`continue`: no step is wrong, expand the node. `reflect`: name the mistake and retry
from the same node. `backtrack`: abandon the node and continue from an ancestor.
`terminate`: accept the answer, or stop because nothing is left to try."""


@dataclass(frozen=True, slots=True)
class Reflection:
    """The reflector's decision about one node.

    Source: O1 Replication Journey (arXiv:2410.18982), the propose-critique loop and its
    four actions.
    """

    action: ReflectionAction
    text: Hidden[str]
    """The reflector's text about the mistake; becomes part of the long thought."""
    wrong_step: int | None = None
    """The step that is judged wrong, 1-based along the path from the root; None if the
    text names none."""
    target_step: int | None = None
    """For `backtrack`: the last step to keep, 1-based, 0 for the question itself."""
    parsed: bool = True
    """False: the model's output could not be parsed and `action` is the loop's
    fallback. Counted in the report."""
