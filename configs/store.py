"""Puts the schema's defaults into Hydra's ConfigStore, so that every option exists and
none needs a `+`.

A group with alternatives gets one group option per alternative (`engine=vllm`), from
which a preset may start by name (`configs/search/wide_posterior.yaml`). A group without
alternatives, but with presets (`configs/GROUP/*.yaml`), gets the node `_schema`, which
they start from. A group with neither gets the one option `default`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra

from configs.options import defaults, groups

CONFIG_DIR = Path(__file__).parent
ROOT = "config"
SCHEMA_NODE = "_schema"
PRESETS = ("experiment", "effort")
"""Groups whose options choose several others at once. What effort chooses wins over
what the experiment chooses."""
_HYDRA_IS_ONE_PER_PROCESS = threading.Lock()


@cache
def register() -> None:
    """Registers the defaults of all groups; the second call does nothing."""
    store = ConfigStore.instance()
    for group, choices in groups().items():
        for choice in choices:
            name = choice.value or (SCHEMA_NODE if (CONFIG_DIR / group).is_dir() else "default")
            store.store(group=group, name=name, node=defaults(choice.model), provider="longthought")


@cache
def default_choices() -> dict[str, str | None]:
    """Returns the group options that config.yaml starts from: {"engine": "vllm",
    "training": None, ...}.
    """
    entries = yaml.safe_load((CONFIG_DIR / f"{ROOT}.yaml").read_text())["defaults"]
    return {
        group: name for entry in entries if isinstance(entry, dict) for group, name in entry.items()
    }


@contextmanager
def hydra_context() -> Iterator[None]:
    """Sets Hydra up for our groups, and leaves a Hydra application around us as it
    was.
    """
    register()
    with _HYDRA_IS_ONE_PER_PROCESS:
        outer = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
                yield
        finally:
            GlobalHydra.instance().hydra = outer
