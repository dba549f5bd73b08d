"""The events of a reasoning tree. The event log is the source of truth; the tree is a
fold of it (graphs/tree/tree.py).

Nodes are numbered in the order in which events add them; 0 is the question. Equal steps
below one node are one node: an event stores every sample, and the fold counts them. An
event refers only to nodes that exist when it is applied, so a log can be replayed and
cut off after any event. Strategies, the viewer, long thoughts, data sets and resume all
read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.types import Reflection, Step, Verdict

Horizon = Literal["step", "answer"]
"""`step`: one step. `answer`: a completion through to the answer, split into steps
afterwards."""

Status = Literal["answered", "no_answer", "out_of_domain", "refused"]
"""How a thought ended; `NoAnswer` is the reason of `no_answer`."""

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
`budget_tokens`, `budget_calls`, `budget_seconds`, `budget_nodes`: that cap of the
budget stopped the search. `stopped`: the search had nothing left to expand."""

FailureKind = Literal["context_length", "budget", "unparsed"]
"""Why an expansion returned no sample. `context_length`: the path exceeds the model's
context. `budget`: the budget is exhausted. `unparsed`: the completion was empty."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The policy sampled continuations of a node. Each chain becomes a path below
    `parent`; steps equal to existing nodes are merged with them.
    """

    parent: int
    chains: tuple[tuple[Step, ...], ...]
    horizon: Horizon = "step"
    mistakes: tuple[int, ...] = ()
    """Wrong children of `parent` that the policy was shown with the reasons against
    them."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An expansion of `node` returned no sample. It is retried up to `MOST_FAILURES`
    times, except after `context_length`.
    """

    node: int
    kind: FailureKind


@dataclass(frozen=True, slots=True)
class Judged:
    """The critic judged the step at `node`."""

    node: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PriorsComputed:
    """A policy head computed priors for the next step after `node`."""

    node: int
    priors: dict[str, float]
    """Probability of each thought factor, by name."""


@dataclass(frozen=True, slots=True)
class Reflected:
    """The reflector returned a reflection on `node`, a step that was judged wrong or an
    answer that was rejected.
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
    """The search ended. `leaf` holds the chosen answer; None without one."""

    status: Status
    leaf: int | None = None
    answer: str | None = None


Event = Expanded | Failed | Judged | PriorsComputed | Reflected | Backup | Finished
