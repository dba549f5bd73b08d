"""The reasoning tree and its events."""

from graphs.tree.draw import LEGEND, draw
from graphs.tree.events import (
    Backup,
    Event,
    Expanded,
    Failed,
    FailureKind,
    Finished,
    Horizon,
    Judged,
    NoAnswer,
    PriorsComputed,
    Reflected,
    Status,
)
from graphs.tree.expansion import Expansion
from graphs.tree.tree import ROOT, ReasoningTree, siblings_wrong

__all__ = [
    "LEGEND",
    "ROOT",
    "Backup",
    "Event",
    "Expanded",
    "Expansion",
    "Failed",
    "FailureKind",
    "Finished",
    "Horizon",
    "Judged",
    "NoAnswer",
    "PriorsComputed",
    "ReasoningTree",
    "Reflected",
    "Status",
    "draw",
    "siblings_wrong",
]
