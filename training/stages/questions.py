"""Loads the training questions and the held-out questions of a training run."""

from __future__ import annotations

from agents.types import BadDataError, Question
from configs import RunConfig
from configs.schema.task import Gsm8kTaskConfig, UserTaskConfig
from graphs.tasks import load_task


def load_held_out(config: RunConfig, count: int) -> list[Question]:
    """Returns `count` questions of `task.split`, or all if there are fewer.

    Raises:
        BadDataError: the split is empty.
    """
    if count == 0 or isinstance(config.task, UserTaskConfig):
        return []
    options = config.task.source_options()
    options["limit"] = min(count, options["limit"] or count)
    if "size" in options:
        options["size"] = max(options["size"], options["offset"] + options["limit"])
    return load_task(config.task.name, **options).questions


def load_training(config: RunConfig, count: int) -> list[Question]:
    """Returns `count` questions of the task's train split, or all if there are fewer.

    Raises:
        BadDataError: the task has no train split, or its generator cannot make so many
            distinct questions.
    """
    task = config.task
    if count == 0 or isinstance(task, UserTaskConfig):
        return []
    if isinstance(task, Gsm8kTaskConfig) and task.path is not None:
        raise BadDataError(
            f"task.path ({task.path}) holds the {task.split} split whole, so there is nothing to "
            "train on; leave it out to take both "
            "splits from the hub, or use task=jsonl, which is split by hash"
        )
    options = task.source_options() | {"split": "train", "limit": count, "offset": 0}
    if "size" in options:
        options["size"] = count
    return load_task(task.name, **options).questions
