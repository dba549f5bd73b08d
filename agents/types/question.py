"""A question with the conversation before it, and the hash that assigns it to a split.

The split is a function of the question's text alone (`split_of`), so no file of splits
can go stale and all processes agree.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


def _check_is_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "the question holds a lone surrogate, which is not text; decode its source as UTF-8"
        ) from None
    return text


class Turn(BaseModel):
    """An earlier turn of a conversation: what its user or its reader saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "assistant"]
    """The speaker."""
    text: Annotated[str, AfterValidator(_check_is_text)]
    """The text; of the assistant the answer alone. Think blocks in it are left out of
    prompts."""


class Question(BaseModel):
    """A question with its gold answer, if that is known; without a gold no answer is
    scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, AfterValidator(_check_is_text)]
    """The question as the user or the data set wrote it."""
    gold: str | None = None
    """The right answer in the task's canonical form; None if unknown."""
    task: str = "user"
    """Name of the question's task, which selects the answer checker."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Data of the task: family, level, index in the file."""
    history: tuple[Turn, ...] = ()
    """Earlier turns of the conversation, oldest first."""
    marks_answer: bool = False
    """Whether the model is asked to mark its answer although there is no gold; set by
    the graph for a question that `search=auto` searches."""

    @property
    def is_scored(self) -> bool:
        """Whether the question has a gold. The model must then mark its answer."""
        return self.gold is not None

    @property
    def earlier(self) -> tuple[str, ...]:
        """The texts that the user wrote before the question."""
        return tuple(turn.text for turn in self.history if turn.role == "user")

    @property
    def texts(self) -> tuple[str, ...]:
        """The question and all turns before it."""
        return (self.text, *(turn.text for turn in self.history))

    @property
    def hash(self) -> str:
        """Identifies the question in traces and splits (see `question_hash`). It
        depends on the history only if there is one.
        """
        if not self.history:
            return question_hash(self.text)
        turns = [(turn.role, turn.text) for turn in self.history]
        return question_hash(json.dumps([*turns, self.text]))
