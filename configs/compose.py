"""Builds a frozen `RunConfig` from the words of a command line; the only module that
uses Hydra and OmegaConf.

`compose(["search=best_of_n", "search.num_samples=32"])`. Hydra composes the YAML
choices over the schema's defaults; pydantic validates the result in strict mode (a text
is not converted to a number). All mistakes are raised as one `ConfigError`, before
anything is loaded.

For your own experiments set `hydra.searchpath=[file:///path/to/configs]` and put files
into `experiment/` there. `effort=auto | low | medium | high` chooses search and budget
together. Precedence: a word for a group or an option, then effort, then experiment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from configs import diagnosis, messages
from configs.errors import ConfigError
from configs.options import MISSING
from configs.renamed import modern
from configs.schema import RunConfig
from configs.store import ROOT, hydra_context


def compose(overrides: Sequence[str] = (), *, require: Sequence[str] = ()) -> RunConfig:
    """Returns the configuration that the overrides choose.

    Args:
        overrides: words of Hydra's grammar: `search=greedy`, `policy.temperature=0.7`,
            `engine@critic.engine=openai`; `run=NAME` stands for `run.name=NAME`.
        require: dotted keys that the caller needs although the schema allows null, such
            as `("training",)`. `"task"` requires a task that has questions of its own.

    Raises:
        ConfigError: a name, a value or a combination is invalid, or a file that an
            option names does not exist.
    """
    config = from_mapping(_composition([_spelled_out(word) for word in overrides]))
    problems = [*_missing_files(config), *messages.unmet_requirements(config, require)]
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def from_mapping(mapping: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration given as plain data, for example from a run directory.

    Raises:
        ConfigError: the data does not follow the schema.
    """
    missing = list(_missing_values(mapping))
    if missing:
        raise ConfigError("\n".join(messages.missing_value(key, mapping) for key in missing))
    try:
        return RunConfig.model_validate_json(json.dumps(mapping), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(messages.explain(error, mapping))) from None


def to_yaml(config: RunConfig) -> str:
    """Returns the whole configuration as YAML; `from_yaml` is its inverse."""
    # escapes non-ASCII: PyYAML loses U+0085 otherwise
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def from_yaml(text: str) -> RunConfig:
    """Returns the configuration that `to_yaml` wrote; drops options that no longer
    exist and influenced no result.

    Raises:
        ConfigError: the text is not a YAML mapping, or does not follow the schema.
    """
    try:
        mapping = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"the configuration is not valid YAML: {error}") from None
    if not isinstance(mapping, dict):
        raise ConfigError(
            "the configuration must be a YAML mapping of groups and is "
            f"{type(mapping).__name__}; restore the file"
        )
    return from_mapping(modern(mapping))


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Returns one list of overrides per combination of the comma lists, ranges and
    choices in `overrides`, like Hydra's `-m`.

    Raises:
        ConfigError: a word does not follow Hydra's grammar.
    """
    # imported here because it loads Hydra's plugins, which takes 50 ms
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    parsed = _parse([_spelled_out(word) for word in overrides])
    return [
        list(job)
        for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None)
        for job in batch
    ]


def group_options(group: str) -> list[str]:
    """Returns the choices of a group, for example `["greedy", "best_of_n", ...]` for
    search; presets included.
    """
    with hydra_context():
        return diagnosis.visible_options(group)


def _composition(overrides: list[str]) -> dict[str, Any]:
    """Returns Hydra's composition as plain data; missing values are `MISSING`."""
    parsed = _parse(overrides)
    complaints = diagnosis.refused_words(parsed)
    if complaints:
        raise ConfigError("\n".join(complaints))
    with hydra_context():
        try:
            tree = hydra.compose(ROOT, overrides=overrides)
            plain = OmegaConf.to_container(tree, resolve=True)
        # Hydra raises bare ValueErrors, too
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise ConfigError("\n".join(diagnosis.diagnose(parsed, error))) from None
        except yaml.YAMLError as error:
            raise ConfigError(f"a configuration file is not valid YAML: {error}") from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _parse(overrides: Sequence[str]) -> list[Any]:
    """Returns Hydra's parse of each word.

    Raises:
        ConfigError: words do not follow the grammar; names all of them.
    """
    parser, parsed, complaints = OverridesParser.create(), [], []
    for word in overrides:
        try:
            if word.startswith("="):
                raise HydraException("there is no key")
            parsed.extend(parser.parse_overrides([word]))
        except HydraException as error:
            complaints.append(diagnosis.bad_word(word, error))
    if complaints:
        raise ConfigError("\n".join(complaints))
    return parsed


def _spelled_out(word: str) -> str:
    """Returns `run=NAME` as `run.name="NAME"`, other words unchanged. The quotes keep a
    name like 2024 a text.
    """
    if not word.startswith("run="):
        return word
    name = word.removeprefix("run=")
    return (
        f'run.name="{name}"'
        if re.fullmatch(r"[\w.-]+", name) and name != "null"
        else f"run.name={name}"
    )


def _missing_values(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _missing_values(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, str) and value == MISSING:
        yield key


def _calibration_file(config: RunConfig) -> str | None:
    named: str | None = getattr(config.critic, "calibration", None)
    return None if named in ("bundled", "identity") else named


def _missing_files(config: RunConfig) -> Iterator[str]:
    """Yields an error message for each missing file or folder that an option names."""
    named: list[tuple[str, str | None, str | None]] = [
        ("safety.rules", config.safety.rules, "default"),
        ("critic.calibration", _calibration_file(config), None),
        ("search.selector_model", getattr(config.search, "selector_model", None), None),
        ("task.path", getattr(config.task, "path", None), None),
    ]
    for key, value, bundled in named:
        if value is not None and value != bundled and not Path(value).expanduser().exists():
            yield messages.missing_file(key, value)
    for folder in config.training.sources if config.training is not None else ():
        if not folder.expanduser().exists():
            yield messages.missing_file("training.from_runs", str(folder))
    yield from messages.unusable_models(config)
