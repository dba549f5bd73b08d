"""Thoughts of a cell with the truth about their steps and answers.

The steps of a question of a known family are labelled by its exact checker. For other
tasks the task's checker labels the answers, and a step is right if none of the
arithmetic claims in it is false; a step with an answer is right if, in addition, the
answer is. Arithmetic does not see a sum that should have been a difference, so of such
questions more steps count as right than are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.answers import Checkers, canonical
from agents.critics.base import draw, make_verdict
from agents.critics.calibration import PlattScaling
from agents.critics.claims import find_claims
from agents.families import Problem, recognise_question
from agents.types import BadDataError, Meter, Question, Step, Verdict
from graphs.traces.checked import check_answers
from graphs.traces.store import TraceStore
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree
from graphs.tree.truth import Truth, truth_of


class Labelled(NamedTuple):
    """A thought with the truth about it."""

    trace: Trace
    tree: ReasoningTree
    truth: Truth
    problem: Problem | None
    """The exact checker of steps; None for a task without families."""


async def read_labelled(folder: Path) -> list[Labelled]:
    """Returns the thoughts of a cell, with labels.

    Raises:
        BadDataError: a question has no gold answer, or an answer cannot be checked.
    """
    with TraceStore.read(folder) as store:
        checkers = Checkers(store.config.task.checker)
        try:
            return [await _labelled(folder, trace, checkers) for trace in store]
        finally:
            await checkers.close()


async def _labelled(folder: Path, trace: Trace, checkers: Checkers) -> Labelled:
    question, tree = trace.question, ReasoningTree.replay(trace.question, trace.events)
    problem = recognise_question(question.text)
    if problem is not None:
        return Labelled(trace, tree, truth_of(tree, problem), problem)
    if question.gold is None:
        raise BadDataError(
            f"{folder}: question {question.hash} has no gold answer; compare on a task with golds"
        )
    right = await check_answers(question, tree, checkers)
    if unchecked := [answer for answer, is_right in right.items() if is_right is None]:
        raise BadDataError(
            f"{folder}: answer {unchecked[0]!r} to question {question.hash} cannot be checked; "
            "run the report again, or compare on another task"
        )
    answered = np.zeros(len(tree), bool)
    for leaf in tree.answer_leaves():
        answered[leaf] = bool(right[canonical(tree.step(leaf).answer or "", question.task)])
    return Labelled(trace, tree, _truth(tree, answered), None)


def _truth(tree: ReasoningTree, answered: NDArray[np.bool_]) -> Truth:
    """Returns the truth about a tree whose answers are labelled."""
    right, sound = np.ones(len(tree), bool), np.ones(len(tree), bool)
    answers = set(tree.answer_leaves())
    for node in range(1, len(tree)):
        claims = find_claims(tree.step(node).content.reveal().text)
        right[node] = all(claim.is_true for claim in claims) and (
            node not in answers or answered[node]
        )
        sound[node] = right[node] and sound[tree.parent[node]]
    return Truth(right, sound, answered)


@dataclass(frozen=True, slots=True)
class LabelCritic:
    """The labels of a stored thought as verdicts; a known share is flipped, as in
    `agents.critics.OracleCritic`.
    """

    right: Mapping[tuple[tuple[int, ...], ...], bool]
    """Token ids of the steps of a path -> whether its last step is right."""
    flip_rate: float

    @classmethod
    def of(cls, thought: Labelled, flip_rate: float) -> LabelCritic:
        """Returns the critic that knows the steps of `thought`."""
        tree = thought.tree
        nodes = range(1, len(tree))
        return cls(
            {_ids(tree.path_steps(node)): bool(thought.truth.right[node]) for node in nodes},
            flip_rate,
        )

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the label of the last step, or the opposite if it is flipped."""
        is_flipped = draw(0, "flip", question, steps) < self.flip_rate
        score = 1.0 - self.flip_rate if self.right[_ids(steps)] != is_flipped else self.flip_rate
        evidence = PlattScaling().log_likelihood_ratio(score)
        return make_verdict(score, evidence, source="oracle_critic", scope="local")


def _ids(steps: Sequence[Step]) -> tuple[tuple[int, ...], ...]:
    return tuple(step.content.reveal().token_ids for step in steps)
