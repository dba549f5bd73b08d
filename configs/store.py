"""Registers the schema's defaults in Hydra's ConfigStore, so that no option needs a
`+`.

A group with alternatives gets one node per alternative (`engine=vllm`), which a preset
can extend (`configs/search/wide_posterior.yaml`). A group without alternatives but with
presets (`configs/GROUP/*.yaml`) gets the node `_schema`, which the presets extend. A
group with neither gets the node `default`.
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
"""Groups whose choices set several other groups at once. effort takes precedence over
experiment."""
_HYDRA_IS_ONE_PER_PROCESS = threading.Lock()


@cache
def register() -> None:
    """Registers the defaults of all groups. Idempotent."""
    store = ConfigStore.instance()
    for group, choices in groups().items():
        for choice in choices:
            name = choice.value or (SCHEMA_NODE if (CONFIG_DIR / group).is_dir() else "default")
            store.store(group=group, name=name, node=defaults(choice.model), provider="longthought")


@cache
def default_choices() -> dict[str, str | None]:
    """Returns the default choices of config.yaml: {"engine": "vllm", "training": None,
    ...}.
    """
    entries = yaml.safe_load((CONFIG_DIR / f"{ROOT}.yaml").read_text())["defaults"]
    return {
        group: name for entry in entries if isinstance(entry, dict) for group, name in entry.items()
    }


@contextmanager
def hydra_context() -> Iterator[None]:
    """Initialises Hydra for our groups, and restores the state of a surrounding Hydra
    application.
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
