"""What can happen to a reasoning tree. The events are the truth; the tree is a fold of
them (graphs/tree/tree.py).

Nodes are numbered in the order in which events add them; 0 is the question. Equal steps
below one node are one node: an event keeps every sample as it was drawn, and the fold
counts them. An event refers only to nodes that exist when it is applied, so that a log
can be replayed, cut off after any event, and read by everything that looks at a
thought: strategies, the viewer, the long thought, data sets, resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types import Reflection, Step, Verdict

Horizon = Literal["step", "answer"]
"""`step`: one segment of thought. `answer`: through to the end; the completion is cut
into steps afterwards."""

Status = Literal["answered", "no_answer", "out_of_domain", "refused"]
"""How a thought ended. `no_answer`: it ended without one; `NoAnswer` names the
reason."""

NoAnswer = Literal[
    "ended",
    "cut_step",
    "cut_answer",
    "context_length",
    "budget_tokens",
    "budget_calls",
    "budget_seconds",
    "budget_nodes",
    "stopped",
]
"""Why a thought has no answer. `ended`: the model ended without one. `cut_step`,
`cut_answer`: the last step was cut at policy.max_step_tokens or
policy.max_answer_tokens. `context_length`: the thought filled the model's context.
`budget_tokens`, `budget_calls`, `budget_seconds`, `budget_nodes`: the search would have
gone on and that cap of the budget did not allow it. `stopped`: the search gave up;
nothing was left to try."""

FailureKind = Literal["context_length", "budget", "unparsed"]
"""Why an expansion gave nothing: the path no longer fits the model's context, nothing
was left of the budget, or the model ended without writing anything."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The policy wrote continuations of a node: each chain becomes a path below
    `parent`, in order, at first along nodes that say the same already.
    """

    parent: int
    chains: tuple[tuple[Step, ...], ...]
    horizon: Horizon = "step"
    mistakes: tuple[int, ...] = ()
    """Wrong children of `parent` that the policy was shown, with what was said about
    them, before it wrote these."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An expansion of `node` gave nothing. It is tried again where the context holds
    more, and not for ever.
    """

    node: int
    kind: FailureKind


@dataclass(frozen=True, slots=True)
class Judged:
    """Somebody judged the step at `node`."""

    node: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PriorsComputed:
    """A policy head said what should come next behind `node`."""

    node: int
    priors: dict[str, float]
    """Probability of each thought factor, by name."""


@dataclass(frozen=True, slots=True)
class Reflected:
    """The reflector said what to do about `node`, a step that was judged wrong (or a
    final one that was rejected).
    """

    node: int
    reflection: Reflection


@dataclass(frozen=True, slots=True)
class Backup:
    """One simulation ended at `leaf` with `value`; the fold adds it to every node from
    the leaf to the root.
    """

    leaf: int
    value: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The search is over. `leaf` holds the chosen answer; None without one."""

    status: Status
    leaf: int | None = None
    answer: str | None = None


Event = Expanded | Failed | Judged | PriorsComputed | Reflected | Backup | Finished
