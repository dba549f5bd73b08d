"""The tree as one would write it without arrays: plain objects, everything asked for is
worked out from the log anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.types import Reflection, Step, Verdict
from graphs.tree import Backup, Event, Expanded, Failed, Judged, PriorsComputed, Reflected


@dataclass
class Node:
    """One node; the root has neither step nor parent."""

    number: int
    step: Step | None
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    reflections: list[Reflection] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    backtracked: bool = False
    count: int = 0
    """Samples that went through the node."""
    samples: int = 0
    """Samples that began below the node."""
    greedy_child: Node | None = None
    priors: dict[str, float] | None = None
    ends_completion: bool = False
    """Whether its first sample was the end of a completion to the answer."""

    @property
    def path(self) -> list[Node]:
        return [] if self.parent is None else [*self.parent.path, self]

    @property
    def evidence(self) -> float:
        return sum(v.log_likelihood_ratio for v in self.verdicts if v.outcome == "judged")

    @property
    def judged(self) -> int:
        return sum(v.outcome == "judged" for v in self.verdicts)

    @property
    def logprob(self) -> float:
        if self.step is None:
            return 0.0
        content = self.step.content.reveal()
        return sum(
            logprob for index, logprob in enumerate(content.logprobs) if index >= content.forced
        )

    @property
    def is_final(self) -> bool:
        return self.step is not None and self.step.answer is not None

    @property
    def is_closed(self) -> bool:
        failed = len(self.failures) >= 3 or "context_length" in self.failures
        return (
            failed
            or self.is_final
            or (
                self.ends_completion
                and self.step is not None
                and self.step.finish_reason == "length"
            )
        )

    @property
    def is_right(self) -> bool:
        return self.judged > 0 and self.evidence > 0

    @property
    def is_wrong(self) -> bool:
        return self.judged > 0 and not self.is_right

    @property
    def path_score(self) -> float:
        return sum(math.log(1.0 / (1.0 + math.exp(-node.evidence))) for node in self.path)


def fold(events: Sequence[Event]) -> list[Node]:
    """Returns the nodes that the events make, by number."""
    nodes = [Node(0, None, None)]
    for event in events:
        if isinstance(event, Expanded):
            nodes[event.parent].samples += len(event.chains)
            for chain in event.chains:
                parent = nodes[event.parent]
                for index, step in enumerate(chain):
                    is_end = event.horizon == "answer" and index + 1 == len(chain)
                    child = next(
                        (child for child in parent.children if _says_the_same(child, step)), None
                    )
                    if child is None:
                        child = Node(len(nodes), step, parent, ends_completion=is_end)
                        parent.children.append(child)
                        nodes.append(child)
                    child.count += 1
                    if (
                        step.sampling.temperature == 0
                        and not event.mistakes
                        and parent.greedy_child is None
                    ):
                        parent.greedy_child = child
                    parent = child
        elif isinstance(event, Failed):
            nodes[event.node].failures.append(event.kind)
        elif isinstance(event, Judged):
            nodes[event.node].verdicts.append(event.verdict)
        elif isinstance(event, PriorsComputed):
            nodes[event.node].priors = event.priors
        elif isinstance(event, Backup):
            for node in [nodes[0], *nodes[event.leaf].path]:
                node.values.append(event.value)
        elif isinstance(event, Reflected):
            nodes[event.node].reflections.append(event.reflection)
            if event.reflection.action == "backtrack":
                path = nodes[event.node].path
                target = event.reflection.target_step
                abandoned = (
                    path[-1]
                    if target is None
                    else next(
                        (node for node in path if len(node.path) == max(target, 0) + 1), path[-1]
                    )
                )
                abandoned.backtracked = True
    return nodes


def _says_the_same(node: Node, step: Step) -> bool:
    assert node.step is not None
    mine, other = node.step.content.reveal().token_ids, step.content.reveal().token_ids
    return mine == other and node.step.finish_reason == step.finish_reason
