"""Stored thoughts with the truth about them: which of the answers in a tree are right,
and which steps.

A trace says whether the chosen answer is right (`Trace.correct`). What is believed of
the others, and of the steps, can only be measured against the truth about them: answers
are checked again, by the checkers that decided `Trace.correct`, steps by the exact
checker of the question's family, where one recognises it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agents.answers import AnswerChecker, Checkers, canonical
from agents.families import Problem, recognise_question
from agents.safety.visible_text import strip_markup
from agents.types import BadDataError, Question
from configs import RunConfig
from graphs.traces.store import TraceStore
from graphs.traces.trace import Trace
from graphs.tree import ReasoningTree
from graphs.tree.truth import Truth, truth_of


@dataclass(frozen=True, slots=True)
class CheckedThought:
    """One thought of a run."""

    question: Question
    tree: ReasoningTree
    right: dict[str, bool]
    """Whether each answer in the tree is right, by its canonical form, in the order of
    the finals."""
    problem: Problem | None
    """What knows the truth about steps; None where no family recognises the
    question."""
    tokenizer_hash: str = ""
    """Of the policy that wrote it."""

    @property
    def family(self) -> str:
        """What the question is grouped by: its family, else its task."""
        known = self.question.metadata.get("family") or (
            self.question.task if self.problem is None else self.problem.family
        )
        return str(known)

    def truth(self) -> Truth | None:
        """Returns the exact truth about every step; None where no family recognises the
        question.
        """
        return None if self.problem is None else truth_of(self.tree, self.problem)


def config_of(folder: Path) -> RunConfig:
    """Returns a run's configuration.

    Raises:
        FileNotFoundError: there is no run in the folder; `find_run` finds one by its
            name.
    """
    with TraceStore.read(folder) as store:
        return store.config


async def read_checked(folder: Path) -> tuple[RunConfig, list[CheckedThought], Counter[str]]:
    """Returns a run's configuration, its thoughts, and how many are left out for which
    reason.

    Raises:
        FileNotFoundError: there is no run in the folder; `find_run` finds one by its
            name.
        BadDataError: no thought of the run can be checked, or its thoughts were
            deleted.
    """
    found: list[CheckedThought] = []
    left_out: Counter[str] = Counter()
    with TraceStore.read(folder) as store:
        config = store.config
        checkers = Checkers(config.task.checker)
        try:
            for trace in store:
                thought = await _check(trace, checkers)
                if isinstance(thought, str):
                    left_out[thought] += 1
                else:
                    found.append(thought)
            if store.damaged:
                left_out["with a damaged trace"] += len(store.damaged)
        finally:
            await checkers.close()
    if not found:
        raise BadDataError(
            f"{folder} holds no question whose answers can be checked "
            f"({format_left_out(left_out) or 'it is empty'})"
        )
    return config, found, left_out


async def _check(trace: Trace, checker: AnswerChecker) -> CheckedThought | str:
    """Returns a thought, or why it is left out."""
    question = trace.question
    if question.gold is None:
        return "without a known right answer"
    tree = ReasoningTree.replay(question, trace.events)
    checked = await check_answers(question, tree, checker)
    right = {form: is_right for form, is_right in checked.items() if is_right is not None}
    if len(right) < len(checked):
        return "with an answer that could not be checked"
    return CheckedThought(
        question, tree, right, recognise_question(question.text), trace.engine.tokenizer_hash
    )


async def check_answers(
    question: Question, tree: ReasoningTree, checker: AnswerChecker
) -> dict[str, bool | None]:
    """Returns whether each answer in the tree is right, by its canonical form, in the
    order of the finals; None where the checker could not say.
    """
    right: dict[str, bool | None] = {}
    for answer in dict.fromkeys(tree.step(leaf).answer or "" for leaf in tree.answer_leaves()):
        form = canonical(answer, question.task)
        if form not in right:
            right[form] = (await checker.check(question, strip_markup(answer))).correct
    return right


def format_left_out(left_out: Counter[str]) -> str:
    """Returns the reasons with their counts, in words."""
    return ", ".join(
        f"{count} {'question' if count == 1 else 'questions'} {reason}"
        for reason, count in left_out.items()
    )
