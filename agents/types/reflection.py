"""What the reflector decides after steps were judged wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types.hidden import Hidden

ReflectionAction = Literal["continue", "reflect", "backtrack", "terminate"]
"""`continue`: nothing is wrong, go on. `reflect`: say what is wrong and try again from
the same node. `backtrack`: give the node up and go on from an ancestor. `terminate`:
the answer stands, or nothing is left to try."""


@dataclass(frozen=True, slots=True)
class Reflection:
    """The reflector's decision about one node.

    Source: O1 Replication Journey (arXiv:2410.18982), the propose-critique loop and its
    four actions.
    """

    action: ReflectionAction
    text: Hidden[str]
    """What it says about the mistake; becomes part of the long thought."""
    wrong_step: int | None = None
    """Which step it holds to be wrong: 1-based along the path from the root, None when
    it names none."""
    target_step: int | None = None
    """For `backtrack`: the last step to keep, 1-based, 0 for the question itself."""
    parsed: bool = True
    """False: the model's output could not be read, and the action is the loop's
    fallback. Counted in the report."""
