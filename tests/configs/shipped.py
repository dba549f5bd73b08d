"""Every choice that the package ships, and the words that make each of them
complete.
"""

from __future__ import annotations

from pathlib import Path

from configs import group_options
from configs.options import groups
from configs.store import CONFIG_DIR, PRESETS

NEEDS = {
    "engine=scripted": ["engine.function=package.module:reply"],
    "engine=custom": ["engine.object=a.module:Name"],
    "task=jsonl": ["task.path={folder}"],
    "task=csv": ["task.path={folder}"],
    "task=text": ["task.path={folder}"],
    "task=custom": ["task.object=a.module:Name"],
    "training=sft": ["training.from_runs=[{folder}]"],
    "training=heads": ["training.from_runs=[{folder}]"],
    "training=custom": ["training.object=a.module:Name"],
    "critic=none": ["search=greedy"],
    "critic=value_head": [
        "search=mcts",
        "search.aggregation=last",
        "engine@heads.engine=transformers",
        "heads.engine.model={folder}",
    ],
    "search=custom": ["search.object=a.module:Name"],
    "critic=custom": ["critic.object=a.module:Name"],
}
"""Choices that are refused alone."""

CHOICES = [f"{group}={name}" for group in (*groups(), *PRESETS) for name in group_options(group)]

FILES = sorted(path for path in CONFIG_DIR.rglob("*.yaml") if path.parent != CONFIG_DIR)


def words_for(choice: str, folder: Path) -> list[str]:
    """Returns the words that choose `choice` and compose; `folder` is any existing
    folder.
    """
    return [choice, *(word.format(folder=folder) for word in NEEDS.get(choice, []))]
