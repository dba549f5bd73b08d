"""The guard in front of every trainer: no question of a validation or test split is
ever trained on.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.families import recognise_question
from agents.types import Question, Split, split_of
from graphs.tasks.base import SPLITS

_OWN_SPLITS = ("gsm8k", "svamp", "multiarith", "math500")
"""Tasks whose data set comes with splits; the others are split by hash, whatever their
metadata says."""

FROM_TEST_QUESTIONS = {
    "gsm_symbolic": "GSM8K's test questions with other names and numbers (arXiv:2410.05229)",
    "arc_agi": "the tasks of ARC-AGI-1, the public evaluation set "
    "among them, turned and recoloured",
}
"""Data sets of reasoning-gym whose problems are made from published test questions, and
from which. They are for measuring only, whatever a problem's hash: a policy that learns
from them has seen the test."""


def split_of_text(text: str) -> Split:
    """Returns the split of a text's hash; of the canonical wording, where a family of
    the pocket model recognises the question.

    The pocket model is asked, and was pretrained, in canonical wording: two wordings of
    one question must not be in two splits.
    """
    problem = recognise_question(text)
    return split_of(text if problem is None else problem.text)


def split_of_question(question: Question) -> Split:
    """Returns the split that a question belongs to: its data set's own where there is
    one, otherwise its hash's.

    That of a question which is made from published test questions is test.

    Raises:
        ValueError: the metadata lack the split that the task promises.
    """
    if test_origin(question) is not None:
        return "test"
    if question.task not in _OWN_SPLITS:
        return split_of_text(question.text)
    for split in SPLITS:
        if question.metadata.get("split") == split:
            return split
    raise ValueError(
        f"question {question.hash} of task {question.task} has "
        "no metadata['split']; load it "
        "with graphs.tasks.load_task"
    )


def test_origin(question: Question) -> str | None:
    """Returns the published test questions that a generated question is made from; None
    where there are none.

    The name of the data set stands in the metadata twice: the task's own entry, and the
    package's, which names the source also where a data set mixes others.
    """
    entry = question.metadata.get("entry")
    names = (
        question.metadata.get("dataset"),
        entry.get("source_dataset") if isinstance(entry, dict) else None,
    )
    return next(
        (
            FROM_TEST_QUESTIONS[name]
            for name in names
            if isinstance(name, str) and name in FROM_TEST_QUESTIONS
        ),
        None,
    )


def is_for_measuring_only(question: Question) -> bool:
    """Whether a question belongs to a published test set or is made from one, or is
    held out of a published train set.
    """
    return test_origin(question) is not None or (
        question.task in _OWN_SPLITS and question.metadata.get("split") != "train"
    )


def assert_trainable(questions: Iterable[Question]) -> None:
    """Lets training questions pass.

    Raises:
        ValueError: one belongs to another split; names its hash.
    """
    for question in questions:
        if (origin := test_origin(question)) is not None:
            raise ValueError(
                f"question {question.hash} ({question.task}) is made from published test "
                f"questions ({origin}) and must not be trained "
                "on; leave its data set out of the run or of task.datasets"
            )
        split = split_of_question(question)
        if split != "train":
            raise ValueError(
                f"question {question.hash} ({question.task}) belongs to the {split} split and "
                "must not be trained on; "
                "load the questions with task.split=train, or drop those of other splits"
            )
