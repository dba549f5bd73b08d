"""Explains why Hydra rejected the words of a command line.

Runs only after a failure, inside the same Hydra context, so that a valid command line
costs no extra time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs.messages import closest, unknown_key
from configs.options import groups, options, roles_with_engine, tag_of
from configs.renamed import old_choice
from configs.store import PRESETS, ROOT


def group_names() -> list[str]:
    """Returns the groups that Hydra can choose from, including `PRESETS`."""
    names = GlobalHydra.instance().config_loader().list_groups("")
    return sorted(name for name in names if name in groups() or name in PRESETS)


def visible_options(group: str, search_path: Sequence[Path] = ()) -> list[str]:
    """Returns the choices of a group that users may choose, including those in the
    folders of `search_path`.
    """
    names: list[str] = (
        GlobalHydra.instance().config_loader().get_group_options(group, ObjectType.CONFIG)
    )
    names = [
        *names,
        *(file.stem for folder in search_path for file in (folder / group).glob("*.yaml")),
    ]
    order = [choice.value for choice in groups().get(group, ())]
    visible = [name for name in names if not name.startswith("_")]
    return sorted(
        visible, key=lambda name: (order.index(name) if name in order else len(order), name)
    )


def bad_word(word: str, error: HydraException) -> str:
    """Returns the error message for a word that does not follow Hydra's grammar."""
    reason = str(error).strip().splitlines()[0]
    return (
        f"'{word}' is no valid override ({reason}); write key=value, and quote a value with "
        "special characters: 'key=\"...\"'"
    )


def refused_words(overrides: Sequence[Override]) -> list[str]:
    """Returns error messages for words that Hydra would accept but that are
    mistakes.
    """
    return [complaint for override in overrides for complaint in _refused_word(override)]


def _refused_word(override: Override) -> Iterator[str]:
    if override.is_delete():
        return
    key = override.key_or_group
    if isinstance(override.value(), str) and (refusal := old_choice(key, override.value())):
        yield refusal
        return
    if override.is_sweep_override():
        yield (
            f"{override.input_line} lists several values; add -m to run each of them, or write a "
            f"list as '{key}=[...]'"
        )
    elif key in (*groups(), *PRESETS) and not isinstance(override.value(), (str, int, float, dict)):
        yield (
            f"{override.input_line} must choose one option of {key}; name one, or leave {key} out"
        )
    parent, _, last = key.rpartition(".")
    if last == tag_of(parent):
        yield (
            f"{key} is chosen with its group; write "
            f"{'' if parent in groups() else 'engine@'}{parent}={override.value()}"
        )


def diagnose(overrides: Sequence[Override], error: Exception) -> list[str]:
    """Returns an error message per wrong word, or the first line of Hydra's error if no
    wrong word is found.
    """
    names = group_names()
    words = [override for override in overrides if not override.is_hydra_override()]
    choices = [override for override in words if override.key_or_group in names]
    complaints = [
        complaint
        for override in choices
        for complaint in _bad_choice(override, _search_path(overrides))
    ]
    if complaints:
        return complaints
    tree = _tree(choices)
    names_file = any(word.key_or_group == "task.path" for word in words)
    lacks_task = names_file and not _holds(tree, "task.path")
    for override in words:
        key = override.key_or_group
        if override in choices or override.is_add() or override.is_delete():
            continue
        if lacks_task and key.startswith("task.") and key != "task.path":
            continue  # depends on the task that the error message for task.path proposes
        if "." not in key and key not in tree:
            meant = closest(key, [*names, *groups(), *(option.key for option in options())])
            complaints.append(
                f"{key} is no option and no group; did you mean {' or '.join(meant)}?"
                if meant
                else _no_option(key, names)
            )
        elif not _holds(tree, key):
            complaints.append(unknown_key(key, tree, override.value()))
    return complaints or [_first_line(error)]


def _bad_choice(override: Override, search_path: Sequence[Path]) -> Iterator[str]:
    group, value = override.key_or_group, override.value()
    if override.is_delete():
        return
    available = visible_options(group, search_path)
    if str(value) not in available:
        meant = closest(str(value), available, count=1)
        hint = f"did you mean {group}={meant[0]}? " if meant else ""
        yield f"{group} ({value}) is no such option; {hint}choose one of: {', '.join(available)}"
    elif (
        override.package is not None
        and group == "engine"
        and override.package not in [f"{role}.engine" for role in roles_with_engine()]
    ):
        places = ", ".join(f"engine@{role}.engine" for role in roles_with_engine())
        yield f"engine@{override.package} is no place for an engine; choose one of: {places}"


def _search_path(overrides: Sequence[Override]) -> list[Path]:
    """Returns the folders of `hydra.searchpath=[file:///a, ...]`."""
    values = [
        override.value() for override in overrides if override.key_or_group == "hydra.searchpath"
    ]
    return [
        Path(str(item).removeprefix("file://"))
        for value in values
        if isinstance(value, list)
        for item in value
    ]


def _tree(choices: Sequence[Override]) -> dict[str, Any]:
    """Returns the composition of the group choices alone."""
    try:
        plain = OmegaConf.to_container(
            hydra.compose(ROOT, overrides=[override.input_line for override in choices])
        )
    except (HydraException, OmegaConfBaseException):
        plain = OmegaConf.to_container(hydra.compose(ROOT))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _holds(tree: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return isinstance(tree, list)
        tree = tree[part]
    return True


def _no_option(key: str, names: Sequence[str]) -> str:
    return (
        f"{key} is no option and no group; the groups are: {', '.join(names)}; --help-all lists "
        "every option"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"the configuration was refused: {'; '.join(lines[:2])}"
