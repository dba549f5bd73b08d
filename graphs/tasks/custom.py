"""A task of your own: a class that returns questions.

    class Sums:
        answers = "number"  # the kind of its answers: number, text, or math (default)

        def __init__(self, highest: int = 9) -> None: ...

        def load(self) -> list[Question]: ...

Named as `task=custom task.object=package.module:Sums task.options={highest: 20}`.
Questions are split by the hash of their text, and equal ones are asked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agents.objects import load_object
from agents.types import BadDataError, Question, Split
from graphs.tasks.base import TaskData
from graphs.tasks.leakage import split_of_text

_NAMES = {"math": "custom", "number": "custom_number", "text": "custom_text"}
"""Task of the questions (agents.answers.registry.TASK_ANSWERS) by kind of answers."""


@dataclass(frozen=True)
class CustomTask:
    """See the module."""

    object: str
    options: Mapping[str, Any] | None = None
    split: Split | None = None
    limit: int | None = None
    offset: int = 0
    name: ClassVar[str] = "custom"

    def load(self) -> TaskData:
        """Returns the questions of the class, in its order.

        Raises:
            BadDataError: the class returns no question of the split.
            ValueError: the object is no such class, or does not take the options.
        """
        made = load_object(self.object, "task.object")
        try:
            source = made(**(self.options or {}))
            answers = getattr(source, "answers", "math")
            loaded = list(source.load())
        except (TypeError, AttributeError) as error:
            raise ValueError(
                f"task.object ({self.object}) must be a class with a method `load` that returns "
                f"Questions, made with task.options ({dict(self.options or {})}): {error}"
            ) from error
        if answers not in _NAMES:
            raise ValueError(
                f"{self.object}.answers ({answers!r}) must be one of {', '.join(_NAMES)}"
            )
        strange = next((item for item in loaded if not isinstance(item, Question)), None)
        if strange is not None:
            raise ValueError(
                f"{self.object}.load returned a {type(strange).__name__}; return "
                "agents.types.Question(text=..., gold=...)"
            )
        found: dict[str, Question] = {}
        for question in loaded:
            split = split_of_text(question.text)
            if self.split in (None, split):
                metadata = question.metadata | {"split": split}
                renamed = {"task": _NAMES[answers], "metadata": metadata}
                found.setdefault(question.hash, question.model_copy(update=renamed))
        if not found:
            of = f" of task.split ({self.split})" if self.split and loaded else ""
            raise BadDataError(f"{self.object}.load returned no question{of}")
        return TaskData(list(found.values()), []).cut(self.offset, self.limit)
