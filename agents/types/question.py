"""A question, and the hash that assigns it to a split.

The split is a function of the question's text alone (`split_of`), so no file of splits
can go stale and all processes agree.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Split = Literal["train", "validation", "test"]

_SPLIT_BUCKETS = 20  # bucket 0 is the test split, 1 is validation, the other 18 are for training


def question_hash(text: str) -> str:
    """Returns the first 16 hex digits of the SHA-256 of the text, with runs of white
    space folded to one blank.
    """
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def split_of(text: str) -> Split:
    """Returns the split of a question by its hash: 5 % test, 5 % validation, 90 %
    train.
    """
    bucket = int(question_hash(text), 16) % _SPLIT_BUCKETS
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


class Question(BaseModel):
    """A question with its gold answer, if that is known; without a gold no answer is
    scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    """The question as the user or the data set wrote it."""
    gold: str | None = None
    """The right answer in the task's canonical form; None if unknown."""
    task: str = "user"
    """Name of the question's task, which selects the answer checker."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Data of the task: family, level, index in the file."""

    @field_validator("text")
    @classmethod
    def _is_text(cls, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "the question holds a lone surrogate, which is not text; decode its source as UTF-8"
            ) from None
        return text

    @property
    def is_scored(self) -> bool:
        """Whether the question has a gold. The model must then mark its answer."""
        return self.gold is not None

    @property
    def hash(self) -> str:
        """Identifies the question in traces and splits (see `question_hash`)."""
        return question_hash(self.text)
