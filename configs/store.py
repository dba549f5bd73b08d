"""Puts the schema's defaults into Hydra's ConfigStore, so that every option exists and none needs a `+`.

A group with alternatives gets one group option per alternative (`engine=vllm`). A group with presets (`configs/GROUP/*.yaml`) gets
the node `_schema`, which its presets start from. A group with neither gets the one option `default`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hydra.core.config_store import ConfigStore

from configs.options import defaults, groups

CONFIG_DIR = Path(__file__).parent
ROOT = "config"
SCHEMA_NODE = "_schema"


@cache
def register() -> None:
    """Registers the defaults of all groups; the second call does nothing."""
    store = ConfigStore.instance()
    for group, choices in groups().items():
        for choice in choices:
            name = choice.value or (SCHEMA_NODE if (CONFIG_DIR / group).is_dir() else "default")
            store.store(group=group, name=name, node=defaults(choice.model), provider="longthought")
