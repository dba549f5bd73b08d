"""Stored thoughts with ground truth: which answers and which steps of a tree are right.

A trace stores only whether the chosen answer is right (`Trace.correct`). Measuring
beliefs about other answers and verdicts on steps needs the truth about all of them. So
every answer is checked again by the task's answer checker, and steps are checked by the
exact checker of the question's family, if a family recognises the question.
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
    """Canonical form of each answer in the tree -> whether it is right, in the order of
    the answer leaves."""
    problem: Problem | None
    """The exact checker of steps; None if no family recognises the question."""
    tokenizer_hash: str = ""
    """Hash of the tokenizer of the policy that wrote the thought."""

    @property
    def family(self) -> str:
        """The question's family, or its task if the family is unknown; results are
        grouped by it.
        """
        known = self.question.metadata.get("family") or (
            self.question.task if self.problem is None else self.problem.family
        )
        return str(known)

    def truth(self) -> Truth | None:
        """Returns the truth about every step; None if no family recognises the
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
    """Returns a run's configuration, its checkable thoughts, and the number left out
    per reason.

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
    """Returns the checked thought, or the reason why it is left out."""
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
    """Returns canonical form -> whether the answer is right, for each answer in the
    tree, in the order of the answer leaves; None if the checker could not decide.
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
