"""Keeps questions of validation and test splits out of training. Every trainer calls
`assert_trainable`.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.families import recognise_question
from agents.types import Question, Split, split_of
from graphs.tasks.base import SPLITS

_OWN_SPLITS = ("gsm8k", "svamp", "multiarith", "math500")
"""Tasks whose data set has splits. All others are split by hash; the split in their
metadata is ignored."""

FROM_TEST_QUESTIONS = {
    "gsm_symbolic": "GSM8K's test questions with other names and numbers (arXiv:2410.05229)",
    "arc_agi": "the tasks of ARC-AGI-1, the public evaluation set "
    "among them, turned and recoloured",
}
"""Data sets of reasoning-gym whose problems derive from published test questions, with
their source. They are for measuring only: a policy that is trained on them has seen the
test."""


def split_of_text(text: str) -> Split:
    """Returns the split of a text by its hash. A question of the pocket model's
    families is hashed in canonical wording.

    The pocket model is pretrained and asked in canonical wording, so two wordings of
    one question must be in one split.
    """
    problem = recognise_question(text)
    return split_of(text if problem is None else problem.text)


def split_of_question(question: Question) -> Split:
    """Returns the split of a question: the data set's own if it has splits, else by
    hash of its text, whatever the turns before it. A question that derives from
    published test questions is in the test split.

    Raises:
        ValueError: the data set has splits, and the metadata lack the question's.
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
    """Returns the published test set that a generated question derives from; None for
    other questions.

    The metadata name the data set twice. `dataset` is the one that was generated; the
    `source_dataset` of `entry` names the component of a data set that mixes others.
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
    """Whether a question belongs to a published test set, derives from one, or is held
    out of a published train set.
    """
    return test_origin(question) is not None or (
        question.task in _OWN_SPLITS and question.metadata.get("split") != "train"
    )


def assert_trainable(questions: Iterable[Question]) -> None:
    """Raises ValueError, with the question's hash, unless all questions belong to the
    train split.
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
