"""Tasks: where questions come from."""

from graphs.tasks.base import LineProblem, Task, TaskData
from graphs.tasks.delimited import CsvTask
from graphs.tasks.jsonl import JsonlTask
from graphs.tasks.leakage import (
    assert_trainable,
    is_for_measuring_only,
    split_of_question,
    split_of_text,
)
from graphs.tasks.pocket import PocketTask
from graphs.tasks.published.gsm8k import Gsm8kTask
from graphs.tasks.published.math500 import Math500Task
from graphs.tasks.published.multiarith import MultiarithTask
from graphs.tasks.published.svamp import SvampTask
from graphs.tasks.reasoning_gym import ReasoningGymTask
from graphs.tasks.registry import TASKS, load_task, make_task
from graphs.tasks.text import TextTask

__all__ = [
    "TASKS",
    "CsvTask",
    "Gsm8kTask",
    "JsonlTask",
    "LineProblem",
    "Math500Task",
    "MultiarithTask",
    "PocketTask",
    "ReasoningGymTask",
    "SvampTask",
    "Task",
    "TaskData",
    "TextTask",
    "assert_trainable",
    "is_for_measuring_only",
    "load_task",
    "make_task",
    "split_of_question",
    "split_of_text",
]
