"""The reasoning tree: an array-backed fold of events.

Columns are numpy arrays indexed by node, so that a strategy can rank ten thousand nodes
without touching Python objects; other values (steps, verdicts, children) are in lists.
A tree changes only through `apply`, and two trees that applied the same events are
equal in every column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.safety.visible_text import visible_text
from agents.types import BadDataError, Question, Reflection, Step, Verdict
from graphs.tree.events import (
    Backup,
    Event,
    Expanded,
    Failed,
    Finished,
    Judged,
    PriorsComputed,
    Reflected,
)

ROOT = 0
MOST_FAILURES = 3
"""Expansions without a sample after which a node is closed; a retry may succeed,
because the policy is sampled."""

_FIRST_CAPACITY = 32


class ReasoningTree:
    """The state of one thought. `N` nodes, node 0 is the question.

    Columns, each `[N]` (read them, never write them):
        parent: parent's number, -1 for the root.
        depth: steps from the root.
        count: samples that went through the node, equal ones included.
        samples: samples that start at the node.
        tokens: generated tokens of the step; 0 for the root.
        logprob: sum of the step's sampled token log-probabilities, in nats; 0 for the
            root.
        log_likelihood_ratio: sum of the verdicts on the step, in nats; 0 while
            unjudged. Verdicts without a calibration are read relative to each other:
            their mean over the steps of the same depth is subtracted.
        is_relative: whether a verdict on the step has no calibration.
        of_value: whether the last verdict was of value scope ("can this path still end
            right?") rather than of local scope ("is this step right?").
        judged: number of parsed verdicts.
        unparsed: number of verdicts that could not be parsed.
        no_claim: number of verdicts without anything to judge in the step.
        visit_count: simulations that went through the node.
        value_sum: sum of their values.
        terminal: whether the thought ends at the node, with or without a marked answer.
        answered: whether the node is an answer leaf: terminal, with a marked, non-empty
            answer.
        closed: whether the node cannot be expanded: terminal, failed, or the end of a
            completion that was cut on its way to the answer. A step that was cut at
            policy.max_step_tokens stays open: its child continues the sentence.
        backtracked: whether the reflector backtracked over it.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.version = 0
        """Number of applied events: `tree.apply(events[tree.version:])` applies the
        rest."""
        self.steps: list[Step | None] = []
        self.children: list[list[int]] = []
        self.verdicts: list[list[Verdict]] = []
        self.reflections: list[list[Reflection]] = []
        self.written_through: set[int] = set()
        """Nodes that were expanded with horizon `answer`."""
        self.ends: list[int] = []
        """Last node of each sample, in sampling order; equal samples end at one
        node."""
        self.votes: dict[str, int] = {}
        """Number of samples per answer, verbatim, in the order of their first
        samples."""
        self.greedy_child: dict[int, int] = {}
        """Child of a node that was decoded at temperature 0, where there is one."""
        self.priors: dict[int, Mapping[str, float]] = {}
        """Priors of the thought factors after a node, where a policy head computed
        them."""
        self.failures: dict[int, int] = {}
        """Number of expansions of a node that returned no sample."""
        self.finished: Finished | None = None
        self.is_judged = False
        """Whether any node has a parsed verdict."""
        self.backtracks = 0
        """Number of backtracks over more than the wrong step itself; going back over
        that alone is a retry."""
        self.terminated = False
        """Whether the reflector ended the search (`terminate`)."""
        self._node_of: dict[tuple[int, tuple[int, ...], str], int] = {}
        self._levels: Sequence[NDArray[np.int64]] = ()
        self._levels_of = 0
        """Number of nodes that `_levels` was computed for."""
        self._size = 0
        self._parent = np.zeros(_FIRST_CAPACITY, np.int32)
        self._depth = np.zeros(_FIRST_CAPACITY, np.int32)
        self._count = np.zeros(_FIRST_CAPACITY, np.int32)
        self._samples = np.zeros(_FIRST_CAPACITY, np.int32)
        self._tokens = np.zeros(_FIRST_CAPACITY, np.int32)
        self._logprob = np.zeros(_FIRST_CAPACITY)
        self._has_logprobs = True
        self._llr = np.zeros(_FIRST_CAPACITY)
        self._of_value = np.zeros(_FIRST_CAPACITY, bool)
        self._judged = np.zeros(_FIRST_CAPACITY, np.int32)
        self._unparsed = np.zeros(_FIRST_CAPACITY, np.int32)
        self._no_claim = np.zeros(_FIRST_CAPACITY, np.int32)
        self._is_relative = np.zeros(_FIRST_CAPACITY, bool)
        self._wrong_below = np.zeros(_FIRST_CAPACITY)
        self._centred: tuple[int, NDArray[np.float64]] | None = None
        """Version of the tree and its log-likelihood ratios, if some are relative."""
        self._visit_count = np.zeros(_FIRST_CAPACITY, np.int64)
        self._value_sum = np.zeros(_FIRST_CAPACITY)
        self._terminal = np.zeros(_FIRST_CAPACITY, bool)
        self._answered = np.zeros(_FIRST_CAPACITY, bool)
        self._closed = np.zeros(_FIRST_CAPACITY, bool)
        self._backtracked = np.zeros(_FIRST_CAPACITY, bool)
        self._add(-1, None)

    @classmethod
    def replay(cls, question: Question, events: Iterable[Event]) -> ReasoningTree:
        """Returns the tree after all `events`."""
        tree = cls(question)
        tree.apply(events)
        return tree

    def __len__(self) -> int:
        return self._size

    @property
    def parent(self) -> NDArray[np.int32]:
        return self._parent[: self._size]

    @property
    def depth(self) -> NDArray[np.int32]:
        return self._depth[: self._size]

    @property
    def count(self) -> NDArray[np.int32]:
        return self._count[: self._size]

    @property
    def samples(self) -> NDArray[np.int32]:
        return self._samples[: self._size]

    @property
    def tokens(self) -> NDArray[np.int32]:
        return self._tokens[: self._size]

    @property
    def logprob(self) -> NDArray[np.float64]:
        """See the class.

        Raises:
            BadDataError: the steps were sampled without log-probabilities.
        """
        if not self._has_logprobs:
            raise BadDataError(
                "the thought was sampled without log-probabilities, which its search does not "
                "read; ask its question again with policy.logprobs=always"
            )
        return self._logprob[: self._size]

    @property
    def log_likelihood_ratio(self) -> NDArray[np.float64]:
        if self._centred is None:
            return self._llr[: self._size]
        if self._centred[0] != self.version:
            self._centred = self.version, self._centre()
        return self._centred[1]

    @property
    def is_relative(self) -> NDArray[np.bool_]:
        return self._is_relative[: self._size]

    @property
    def of_value(self) -> NDArray[np.bool_]:
        return self._of_value[: self._size]

    @property
    def judged(self) -> NDArray[np.int32]:
        return self._judged[: self._size]

    @property
    def unparsed(self) -> NDArray[np.int32]:
        return self._unparsed[: self._size]

    @property
    def no_claim(self) -> NDArray[np.int32]:
        return self._no_claim[: self._size]

    @property
    def visit_count(self) -> NDArray[np.int64]:
        return self._visit_count[: self._size]

    @property
    def value_sum(self) -> NDArray[np.float64]:
        return self._value_sum[: self._size]

    @property
    def terminal(self) -> NDArray[np.bool_]:
        return self._terminal[: self._size]

    @property
    def answered(self) -> NDArray[np.bool_]:
        return self._answered[: self._size]

    @property
    def closed(self) -> NDArray[np.bool_]:
        return self._closed[: self._size]

    @property
    def backtracked(self) -> NDArray[np.bool_]:
        return self._backtracked[: self._size]

    def step(self, node: int) -> Step:
        """Returns the step at `node`.

        Raises:
            ValueError: `node` is the root, which is the question and holds no step.
        """
        step = self.steps[node]
        if step is None:
            raise ValueError("node 0 is the question, not a step; pass one of its children")
        return step

    def path(self, node: int) -> list[int]:
        """Returns the nodes from the first step down to `node`; empty for the root."""
        nodes = []
        while node != ROOT:
            nodes.append(node)
            node = int(self._parent[node])
        return nodes[::-1]

    def path_steps(self, node: int) -> list[Step]:
        """Returns the steps from the first one down to `node`."""
        return [self.step(n) for n in self.path(node)]

    def leaves(self) -> list[int]:
        """Returns the nodes without children, in order of creation."""
        return [node for node in range(self._size) if not self.children[node]]

    def answer_leaves(self) -> list[int]:
        """Returns the nodes with a marked, non-empty answer, in order of creation."""
        nodes: list[int] = np.flatnonzero(self.answered).tolist()
        return nodes

    def levels(self) -> Sequence[NDArray[np.int64]]:
        """Returns the nodes of each depth from 1 on, in order of creation."""
        if self._levels_of != self._size:
            # 16 bits: a radix sort
            by_depth = np.argsort(self.depth.astype(np.uint16), kind="stable")
            self._levels = np.split(by_depth, np.bincount(self.depth).cumsum()[:-1])[1:]
            self._levels_of = self._size
        return self._levels

    def along_paths(self, values: NDArray[np.float64], combine: np.ufunc) -> NDArray[np.float64]:
        """Returns, for each node, `values`, [N], reduced by `combine` (np.add,
        np.minimum) over its path, the root included.
        """
        combined = values.copy()
        for nodes in self.levels():
            combined[nodes] = combine(combined[self.parent[nodes]], values[nodes])
        return combined

    def is_right(self, node: int) -> bool:
        """Whether `node` was judged right: its calibrated log-likelihood ratio is above
        0.
        """
        return bool(
            self._judged[node] > 0 and not self._is_relative[node] and self._llr[node] > 0.0
        )

    def is_wrong(self, node: int) -> bool:
        """Whether `node` was judged wrong: its calibrated log-likelihood ratio is below
        `Verdict.wrong_below`.
        """
        return bool(
            self._judged[node] > 0
            and not self._is_relative[node]
            and self._llr[node] < self._wrong_below[node]
        )

    def wrong(self) -> NDArray[np.bool_]:
        """Returns `is_wrong` of every node, [N]."""
        below = self._llr[: self._size] < self._wrong_below[: self._size]
        wrong: NDArray[np.bool_] = (self.judged > 0) & ~self.is_relative & below
        return wrong

    def is_undecided(self, node: int) -> bool:
        """Whether `node` has verdicts and they make it neither right nor wrong: not
        parsed, without a claim, without a calibration, or with too little evidence.
        """
        return bool(self.verdicts[node]) and not (self.is_right(node) or self.is_wrong(node))

    def is_viable(self, node: int) -> bool:
        """Whether a step can be expanded, was expanded, or is an answer leaf. False if
        the thought ended there without an answer.
        """
        return bool(
            self._answered[node]
            if self._terminal[node]
            else self.children[node] or not self._closed[node]
        )

    def viable(self) -> NDArray[np.bool_]:
        """Returns `is_viable` of every node, [N]."""
        has_children = np.bincount(self.parent[1:], minlength=len(self)) > 0
        return np.where(self.terminal, self.answered, has_children | ~self.closed)

    def path_score(self, node: int, *, logprob_weight: float = 0.0) -> float:
        """Returns the sum over the path of log sigma(log-likelihood ratio) +
        `logprob_weight` x the step's log-probability, in nats.

        The first term is the critic's log-probability that the step is right under a
        prior of 1/2; an unjudged step counts log 1/2. The second is the policy's prior,
        which merging equal steps would otherwise discard.
        """
        nodes = self.path(node)
        return float(
            -np.logaddexp(0.0, -self.log_likelihood_ratio[nodes]).sum()
            + logprob_weight * self._logprob[nodes].sum()
        )

    def apply(self, events: Iterable[Event]) -> None:
        """Applies further events.

        Raises:
            ValueError: an event refers to a node that does not exist, reflects on the
                question, or comes after `Finished`. The events before it are applied,
                the invalid one is not.
        """
        for event in events:
            if self.finished is not None:
                raise ValueError(
                    f"event {self.version} ({type(event).__name__}) comes after Finished; a "
                    "finished tree accepts no more events"
                )
            match event:
                case Expanded():
                    self._check(event.parent)
                    if event.horizon == "answer":
                        self.written_through.add(event.parent)
                    self._samples[event.parent] += len(event.chains)
                    for chain in event.chains:
                        node = event.parent
                        for number, step in enumerate(chain, start=1):
                            child = self._place(
                                node,
                                step,
                                ends_completion=event.horizon == "answer" and number == len(chain),
                            )
                            if (
                                step.sampling.temperature == 0.0
                                and step.author.adapter is None
                                and not event.mistakes
                            ):
                                self.greedy_child.setdefault(node, child)
                            node = child
                        self.ends.append(node)
                        if chain and (answer := chain[-1].answer) and self._answered[node]:
                            self.votes[answer] = self.votes.get(answer, 0) + 1
                case Failed():
                    self._check(event.node)
                    self.failures[event.node] = self.failures.get(event.node, 0) + 1
                    if event.kind == "context_length" or self.failures[event.node] >= MOST_FAILURES:
                        self._closed[event.node] = True
                case Judged():
                    self._check(event.node)
                    self._judge(event.node, event.verdict)
                case PriorsComputed():
                    self._check(event.node)
                    self.priors[event.node] = event.priors
                case Reflected():
                    self._check(event.node)
                    if event.node == ROOT:
                        raise ValueError(
                            f"event {self.version} (Reflected) refers to node 0, the question; "
                            "reflect on a step"
                        )
                    self.reflections[event.node].append(event.reflection)
                    self.terminated = self.terminated or event.reflection.action == "terminate"
                    if event.reflection.action == "backtrack":
                        self._backtrack(event.node, event.reflection.target_step)
                case Backup():
                    self._check(event.leaf)
                    node = event.leaf
                    while node >= 0:
                        self._visit_count[node] += 1
                        self._value_sum[node] += event.value
                        node = int(self._parent[node])
                case Finished():
                    if event.leaf is not None:
                        self._check(event.leaf)
                    self.finished = event
            self.version += 1

    def _judge(self, node: int, verdict: Verdict) -> None:
        self.verdicts[node].append(verdict)
        self._of_value[node] = verdict.scope == "value"
        if verdict.outcome == "unparsed":
            self._unparsed[node] += 1
        elif verdict.outcome == "no_claim":
            self._no_claim[node] += 1
        else:
            self._judged[node] += 1
            self.is_judged = True
            self._llr[node] += verdict.log_likelihood_ratio
            self._wrong_below[node] = min(self._wrong_below[node], verdict.wrong_below)
            if not verdict.is_calibrated:
                self._is_relative[node] = True
                self._centred = self._centred or (-1, self._llr)

    def _centre(self) -> NDArray[np.float64]:
        """Returns the log-likelihood ratios; of relative ones, the difference from
        their mean over the same depth.
        """
        llr, relative = self._llr[: self._size], self.is_relative
        number = np.bincount(self.depth[relative], minlength=int(self.depth.max()) + 1)
        total = np.bincount(self.depth[relative], weights=llr[relative], minlength=len(number))
        mean = total / np.maximum(number, 1)
        return np.where(relative, llr - mean[self.depth], llr)

    def abandoned(self, node: int, target_step: int | None) -> int:
        """Returns the node that a backtrack from the step `node` to `target_step`
        abandons: the target's child on the path to `node`.
        """
        path = self.path(node)
        return path[
            len(path) - 1 if target_step is None else min(max(target_step, 0), len(path) - 1)
        ]

    def _backtrack(self, node: int, target_step: int | None) -> None:
        """Marks the node that a backtrack abandons, so that the search continues from
        the target.
        """
        abandoned = self.abandoned(node, target_step)
        if abandoned != node:
            self.backtracks += 1
        self._backtracked[abandoned] = True

    def _check(self, node: int) -> None:
        if not 0 <= node < self._size:
            raise ValueError(
                f"event {self.version} refers to node {node}, but the tree has nodes 0 to "
                f"{self._size - 1}"
            )

    def _place(self, parent: int, step: Step, *, ends_completion: bool) -> int:
        """Returns the child of `parent` with the tokens and finish reason of `step`;
        creates it if there is none.

        `ends_completion`: whether the step is the last one of a completion to the
        answer; a cut there closes the new node.
        """
        key = parent, step.content.reveal().token_ids, step.finish_reason
        node = self._node_of.get(key)
        if node is None:
            node = self._node_of[key] = self._add(parent, step)
            self._closed[node] = step.is_final or (
                ends_completion and step.finish_reason == "length"
            )
        self._count[node] += 1
        return node

    def _add(self, parent: int, step: Step | None) -> int:
        node = self._size
        if node == len(self._parent):
            self._grow()
        self._parent[node] = parent
        self._depth[node] = 0 if parent < 0 else self._depth[parent] + 1
        self.steps.append(step)
        self.children.append([])
        self.verdicts.append([])
        self.reflections.append([])
        if step is not None:
            self.children[parent].append(node)
            content = step.content.reveal()
            self._tokens[node] = len(content.token_ids) - content.forced
            self._logprob[node] = content.logprob
            self._has_logprobs = self._has_logprobs and not math.isnan(content.logprob)
            self._terminal[node] = step.is_final
            self._answered[node] = step.answer is not None and bool(visible_text(step.answer))
        self._size += 1
        return node

    def _grow(self) -> None:
        for name, column in list(vars(self).items()):
            if isinstance(column, np.ndarray):
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))


def siblings_wrong(tree: ReasoningTree, node: int) -> Sequence[int]:
    """Returns the children of `node` that were judged wrong, oldest first."""
    return [child for child in tree.children[node] if tree.is_wrong(child)]
