"""A question, and the hash that decides whether it may be trained on.

The split of a question is a function of its text alone, so that no file of splits can
go stale and two processes never disagree: `split_of` is the only place that knows the
shares.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Split = Literal["train", "validation", "test"]

_SPLIT_BUCKETS = 20  # bucket 0 is the test split, 1 is validation, the other 18 are for training


def question_hash(text: str) -> str:
    """Returns 16 hex digits that name a question: the SHA-256 of its text with runs of
    white space folded to one blank.
    """
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def split_of(text: str) -> Split:
    """Returns the split that a question belongs to: 5 % test, 5 % validation, 90 %
    train, by its hash.
    """
    bucket = int(question_hash(text), 16) % _SPLIT_BUCKETS
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


class Question(BaseModel):
    """What is asked. `gold` is what a checker compares an answer with; without it
    nothing can be scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    """The words that the user or the data set used."""
    gold: str | None = None
    """The right answer in the task's canonical form, or None when it is not known."""
    task: str = "user"
    """Name of the task that the question came from; it chooses the answer checker."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """What the task wants to remember: family, level, index in the file."""

    @field_validator("text")
    @classmethod
    def _is_text(cls, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "the question holds a lone surrogate, which is no text; decode its source as UTF-8"
            ) from None
        return text

    @property
    def is_scored(self) -> bool:
        """Whether an answer can be compared with a gold: the model must then mark its
        answer.
        """
        return self.gold is not None

    @property
    def hash(self) -> str:
        """The name of the question in traces and splits (see `question_hash`)."""
        return question_hash(self.text)
