"""Presets: configurations that callers of a served graph choose with `preset=NAME`
(configs/remote.py). "default" is the server's own.

The server's owner sets them in the environment:

    LONGTHOUGHT_CONFIG="engine=openai budget=high" langgraph dev
    LONGTHOUGHT_PRESETS=presets.yaml langgraph dev

LONGTHOUGHT_CONFIG holds the options of "default", as on the command line. The file
holds `NAME: [word, word]` or `NAME: "word word"`. In Python,
`register_preset("careful", ["engine=openai", "search=beam"])` overrides both.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from configs import ConfigError, RunConfig, compose

CONFIG_VARIABLE = "LONGTHOUGHT_CONFIG"
"""Environment variable with the options of the preset "default"."""
PRESETS_VARIABLE = "LONGTHOUGHT_PRESETS"
"""Environment variable with the path of a YAML file of presets."""
DEFAULT = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_registered: dict[str, RunConfig] = {}


def register_preset(name: str, config: RunConfig | Sequence[str]) -> None:
    """Registers a configuration as `name`, for `Context(overrides=("preset=NAME",))`,
    until the process ends.

    Args:
        name: letters, digits, _ and -; a context without a preset uses "default".
        config: a configuration, or its override words.

    Raises:
        ConfigError: the configuration is invalid.
        ValueError: the name has other characters, or is registered with another
            configuration.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a preset's name ({name!r}) must have letters, digits, _ and - only, at most 64; "
            "choose another"
        )
    made = config if isinstance(config, RunConfig) else compose(list(config))
    if _registered.setdefault(name, made) != made:
        raise ValueError(
            f"preset {name} is registered with another configuration, which callers may be using; "
            "choose another name"
        )


def preset_config(name: str) -> RunConfig:
    """Returns the configuration of a preset. Reads files, so it blocks an event loop.

    Raises:
        ConfigError: the preset is unknown, or its words are invalid.
    """
    if name in _registered:
        return _registered[name]
    presets = _presets()
    if name not in presets:
        known = ", ".join(sorted({DEFAULT, *_registered, *presets}))
        raise ConfigError(
            f"Context.overrides: preset ({name}) must be one of {known}; the server's owner adds "
            f"one with {PRESETS_VARIABLE} or graphs.reasoner.presets.register_preset"
        )
    return compose(presets[name])


def check_environment() -> None:
    """Composes every preset that the environment names.

    Raises:
        ConfigError: a preset is invalid; the message names it.
    """
    for name, words in _presets().items():
        try:
            compose(words)
        except ConfigError as error:
            raise ConfigError(f"preset {name}: {error}") from None


def environment() -> tuple[str, ...]:
    """Returns the values of both variables; part of the key of lazily built
    resources.
    """
    return os.environ.get(CONFIG_VARIABLE, ""), os.environ.get(PRESETS_VARIABLE, "")


def _presets() -> dict[str, list[str]]:
    """Returns the words of each preset in the environment, "default" included."""
    words, path = environment()
    presets = {DEFAULT: _split(words, CONFIG_VARIABLE)}
    if not path:
        return presets
    try:
        found = yaml.safe_load(Path(path).expanduser().read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{PRESETS_VARIABLE} ({path}) must be a YAML file of presets, and cannot be read: "
            f"{error}"
        ) from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"{PRESETS_VARIABLE} ({path}) must map names to lists of words and is a "
            f"{type(found).__name__}; correct it"
        )
    for name, value in found.items():
        if isinstance(value, str):
            value = _split(value, f"{PRESETS_VARIABLE}, preset {name}")
        if not (
            _NAME.fullmatch(str(name))
            and isinstance(value, list)
            and all(isinstance(word, str) for word in value)
        ):
            raise ConfigError(
                f"{PRESETS_VARIABLE} ({path}): preset {name} must be a list of words such as "
                "engine=openai, or one text"
            )
        presets[str(name)] = value
    return presets


def _split(words: str, where: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError as error:
        raise ConfigError(
            f"{where} must hold words as on a command line ({error}); close the quotes"
        ) from None
