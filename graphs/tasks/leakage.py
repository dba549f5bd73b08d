"""The guard in front of every trainer: no question of a validation or test split is ever trained on."""

from __future__ import annotations

from collections.abc import Iterable

from agents.families import recognise_question
from agents.nouns import Question, Split, split_of
from graphs.tasks.base import SPLITS

_OWN_SPLITS = ("gsm8k", "svamp", "multiarith", "math500")
"""Tasks whose data set comes with splits; the others are split by hash, whatever their metadata says."""


def split_of_text(text: str) -> Split:
    """Returns the split of a text's hash; of the canonical wording, where a family of the pocket model recognises the question.

    The pocket model is asked, and was pretrained, in canonical wording: two wordings of one question must not be in two splits.
    """
    problem = recognise_question(text)
    return split_of(text if problem is None else problem.text)


def split_of_question(question: Question) -> Split:
    """Returns the split that a question belongs to: its data set's own where there is one, otherwise its hash's.

    Raises:
        ValueError: the metadata lack the split that the task promises.
    """
    if question.task not in _OWN_SPLITS:
        return split_of_text(question.text)
    for split in SPLITS:
        if question.metadata.get("split") == split:
            return split
    raise ValueError(f"question {question.hash} of task {question.task} has no metadata['split']; load it with graphs.tasks.load_task")


def assert_trainable(questions: Iterable[Question]) -> None:
    """Lets training questions pass.

    Raises:
        ValueError: one belongs to another split; names its hash.
    """
    for question in questions:
        split = split_of_question(question)
        if split != "train":
            raise ValueError(
                f"question {question.hash} ({question.task}) belongs to the {split} split and must not be trained on; "
                "load the questions with task.split=train, or drop those of other splits"
            )
