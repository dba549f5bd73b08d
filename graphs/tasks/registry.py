"""The tasks by name, as `task.name` chooses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from agents.types import BadDataError
from graphs.tasks.base import Task, TaskData
from graphs.tasks.custom import CustomTask
from graphs.tasks.delimited import CsvTask
from graphs.tasks.jsonl import JsonlTask
from graphs.tasks.pocket import PocketTask
from graphs.tasks.published.gsm8k import Gsm8kTask
from graphs.tasks.published.math500 import Math500Task
from graphs.tasks.published.multiarith import MultiarithTask
from graphs.tasks.published.svamp import SvampTask
from graphs.tasks.reasoning_gym import ReasoningGymTask
from graphs.tasks.text import TextTask

TASKS: dict[str, Callable[..., Task]] = {
    task.name: task
    for task in (
        *(PocketTask, ReasoningGymTask, Gsm8kTask, SvampTask, MultiarithTask, Math500Task),
        *(JsonlTask, CsvTask, TextTask, CustomTask),
    )
}

OWN_FILES = {
    "jsonl": "a file with one JSON object per line",
    "csv": "a CSV file whose first row names the fields",
    "text": "a file with one question per line",
}
"""Tasks that read a user's file, and the format of the file."""


def make_task(name: str, **options: Any) -> Task:
    """Returns the task `name` with these options, without reading any file.

    Raises:
        BadDataError: the task is unknown.
        ValueError: an option is unknown, missing, or invalid.
    """
    if name == "user":
        raise BadDataError(
            "task=user has no questions of its own; ask one with graphs.ask, or choose "
            f"task={', '.join(TASKS)}"
        )
    if name not in TASKS:
        raise BadDataError(f"task {name!r} is unknown; choose one of {', '.join(TASKS)}")
    task = TASKS[name]
    known = [field.name for field in fields(task)]  # type: ignore[arg-type]
    if unknown := [option for option in options if option not in known]:
        raise ValueError(
            f"task {name} has no option {', '.join(unknown)}; it has {', '.join(known)}"
        )
    if name in OWN_FILES and not options.get("path"):
        raise ValueError(f"task {name} needs task.path, {OWN_FILES[name]}")
    return task(**options)


def load_task(name: str, **options: Any) -> TaskData:
    """Returns the questions of the task `name`.

    Raises:
        BadDataError, ValueError: see `make_task` and `Task.load`.
    """
    return make_task(name, **options).load()
