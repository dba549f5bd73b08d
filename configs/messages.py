"""Error messages for invalid configurations: dotted key, value, rule and remedy, one
line per mistake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from configs.options import (
    MISSING,
    Option,
    choices_of,
    find,
    groups,
    options,
    roles_with_engine,
    tag_of,
)
from configs.renamed import old_option
from configs.schema import (
    POCKET,
    TASK_OF_SUFFIX,
    EngineConfig,
    RunConfig,
    TransformersEngineConfig,
    VllmEngineConfig,
)

_CLOSE = 0.6  # least similarity, in [0, 1], of a suggested name


def missing_value(key: str, tree: Mapping[str, Any]) -> str:
    """Returns the error message for a required value that `tree` lacks."""
    option = _option(key, tree)
    return (
        (f"{key} is missing ({option.description.rstrip('.')}); set {key}=VALUE")
        if option
        else f"{key} is missing; set {key}=VALUE"
    )


def missing_file(key: str, value: str) -> str:
    """Returns the error message for a file or folder that does not exist."""
    return (
        f"{key} ({value}) must be an existing file or folder and does not exist (relative to "
        f"{Path.cwd()}); correct the path"
    )


def unknown_key(key: str, tree: Mapping[str, Any], value: object = None) -> str:
    """Returns the error message for a key, set to `value`, that the composed `tree`
    lacks.
    """
    if refusal := old_option(key):
        return refusal
    if key == "task.path" and value is not None:
        return _path_without_task(value, _lookup(tree, "task.name"))
    holder = next((role for role in roles_with_engine() if key.startswith(f"{role}.engine.")), None)
    group = key.partition(".")[0]
    where, place = (f"{holder}.engine", "engine") if holder else (group, group)
    choices = [option.choice for option in find(key) if option.choice]
    chosen = _lookup(tree, f"{where}.{tag_of(place)}") if place in groups() else None
    select = f"engine@{where}" if holder else group
    if choices and chosen is None:
        return (
            f"{key} is an option of {_any_of(select, choices)}, and {where} is null; add "
            f"{select}={choices[0]}"
        )
    if choices:
        way_out = f"choose {select}={choices[0]} or leave it out"
        return (
            f"{key} is an option of {_any_of(select, choices)}, and {select}={chosen} was "
            f"chosen; {way_out}"
        )
    meant = closest(
        key,
        [option.key for option in options()]
        if not holder
        else [f"{holder}.{option.key}" for option in options()],
    )
    way_out = (
        f"did you mean {' or '.join(meant)}?" if meant else "--help-all describes every option"
    )
    return f"{key} is no option; {way_out}"


def _path_without_task(path: object, chosen: object) -> str:
    """Returns the error message for a task.path beside a task that reads no file;
    suggests one that reads it.
    """
    task = TASK_OF_SUFFIX.get(Path(str(path)).suffix.lower())
    if task is not None:
        return (
            f"task.path ({path}) needs a task that reads files, and task={chosen} reads none; add "
            f"task={task}"
        )
    suffixes = {
        name: [suffix for suffix, of in TASK_OF_SUFFIX.items() if of == name]
        for name in TASK_OF_SUFFIX.values()
    }
    listed = ", ".join(f"task={name} ({' '.join(found)})" for name, found in suffixes.items())
    return (
        f"task.path ({path}) needs a task that reads files, and task={chosen} reads none; add "
        f"{listed}, or a published set"
    )


def closest(name: str, names: Sequence[str], *, count: int = 3) -> list[str]:
    """Returns the names most similar to `name`, best first, shorter names first among
    equals; also compares `name` without its group.
    """

    def similarity(candidate: str) -> float:
        whole = SequenceMatcher(None, name, candidate).ratio()
        group, _, last = candidate.partition(".")
        own_group, _, own_last = name.rpartition(".")
        if not own_group:
            return max(whole, SequenceMatcher(None, name, last).ratio())
        return max(
            whole,
            0.9 * SequenceMatcher(None, own_last, last).ratio()
            if own_group != group and last
            else 0.0,
        )

    scored = sorted(
        ((similarity(candidate), candidate) for candidate in dict.fromkeys(names)),
        key=lambda pair: (-pair[0], len(pair[1]), pair[1]),
    )
    return [
        candidate
        for score, candidate in scored[:count]
        if score >= _CLOSE and score >= scored[0][0] - 0.15
    ]


def explain(error: ValidationError, mapping: Mapping[str, Any]) -> list[str]:
    """Returns one line per mistake that pydantic found in `mapping`."""
    return list(
        dict.fromkeys(_explain(details, mapping) for details in error.errors(include_url=False))
    )


def _explain(details: ErrorDetails, mapping: Mapping[str, Any]) -> str:
    key, kind = _dotted(details["loc"], mapping), details["type"]
    if kind == "value_error":
        message = str(details["ctx"]["error"])
        return message if message.startswith(key) else f"{key}: {message}"
    if kind == "missing":
        return missing_value(key, mapping)
    if kind == "extra_forbidden":
        return unknown_key(key, mapping, _lookup(mapping, key))
    value = json.dumps(_lookup(mapping, key), ensure_ascii=False)
    place, is_role = (
        (key.removesuffix(".engine"), True) if key.endswith(".engine") else (key, False)
    )
    if is_role and place in roles_with_engine():
        return (
            f"{key} ({value}) must be null or an engine; write engine@{key}=vllm, or another of "
            f"{', '.join(_values('engine'))}"
        )
    if key in groups() and tag_of(key):
        return (
            f"{key} ({value}) must be one of its alternatives; choose {_any_of(key, _values(key))}"
        )
    if key in groups():
        return (
            f"{key} ({value}) must be a group of options; set {key}.OPTION=VALUE, --help-all lists "
            "them"
        )
    option = _option(key, mapping)
    if option is None:  # inside a list: policy.factors.0.name
        whole = (
            key[: key.index(part)]
            if (part := next((f".{part}" for part in key.split(".") if part.isdigit()), ""))
            else key
        )
        holder = _option(whole, mapping)
        return f"{key} ({value}) is refused: {details['msg']}" + (
            f"; {whole} must be {holder.rule}" if holder else "; --help-all describes every option"
        )
    return f"{key} ({value}) must be {_way_out(option, key, _lookup(mapping, key))}"


def _option(key: str, tree: Mapping[str, Any]) -> Option | None:
    """Returns the option with this key, from the chosen alternative if several have
    it.
    """
    found = find(key)
    group, _, rest = key.partition(".")
    place = f"{group}.engine" if rest.startswith("engine.") else group
    chosen = _lookup(tree, f"{place}.{tag}") if (tag := tag_of(place)) else None
    return next(
        (option for option in found if option.choice == chosen), found[0] if found else None
    )


def _way_out(option: Option, key: str, value: Any) -> str:
    """Returns rule and remedy for a value of the wrong type or out of bounds."""
    if "a text" in option.rule and isinstance(value, (int, float)):
        return f"{option.rule}; quote it: '{key}=\"{value}\"'"
    if option.default == MISSING:
        return f"{option.rule}; {option.description}"
    return f"{option.rule}; the default is {json.dumps(option.default, ensure_ascii=False)}"


def _dotted(location: tuple[int | str, ...], mapping: Mapping[str, Any]) -> str:
    """Returns pydantic's location as a dotted key, without the tags and type names that
    pydantic inserts for unions.
    """
    key: list[str] = []
    current: Any = mapping
    skip_tag = False
    for part in location:
        if skip_tag:
            skip_tag = False
            continue
        if isinstance(current, Mapping):
            key.append(str(part))
            current = current.get(part)
            path = ".".join(key)
            skip_tag = len(choices_of(path)) > 1
        elif isinstance(current, list) and isinstance(part, int):
            key.append(str(part))
            current = current[part]
    return ".".join(key)


def _lookup(tree: Any, key: str) -> Any:
    """Returns the value at a dotted key; None if it is missing."""
    for part in key.split(".") if key else ():
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdigit():
            tree = tree[int(part)]
        else:
            return None
    return tree


def _values(group: str) -> list[str]:
    return [choice.value for choice in groups()[group] if choice.value]


def _any_of(select: str, values: Sequence[str]) -> str:
    return " or ".join(f"{select}={value}" for value in dict.fromkeys(values))


def explain_custom(error: ValidationError, group: str, object: str, names: Sequence[str]) -> str:
    """Returns the message for the first error in `group`.options of a custom object,
    whose own options are `names`.
    """
    found = error.errors()[0]
    where = ".".join(map(str, found["loc"]))
    return (
        f"{group}.options.{where}: {found['msg']}; {object} has {', '.join(names) or 'no options'}"
    )


def unmet_requirements(config: RunConfig, require: Sequence[str]) -> Iterator[str]:
    """Yields an error message for each required key that is null."""
    data = config.model_dump(mode="json")
    for key in require:
        if key == "task" and config.task.name == "user":
            others = " | ".join(name for name in _values("task") if name != "user")
            yield f"task (user) has no questions of its own; choose task={others}"
        elif _lookup(data, key) is None:
            way_out = (
                (f"choose {key}={' | '.join(_values(key))}")
                if key in groups()
                else f"set {key}=VALUE"
            )
            yield f"{key} is missing and this command needs it; {way_out}"


def unusable_models(config: RunConfig) -> Iterator[str]:
    """Yields an error message for each missing model folder, and for pocket prompts
    with a model that was not trained on them.
    """
    speaking = {
        "policy": True,
        "critic": config.critic.speaks,
        "heads": config.reads_heads,
        "reflector": config.reflector.kind == "model",
        "summarizer": config.summarizer.kind == "model",
    }
    for role in roles_with_engine():
        if not speaking[role]:
            continue
        group = getattr(config, role)
        engine: EngineConfig = config.engine if group.engine is None else group.engine
        if not isinstance(engine, (VllmEngineConfig, TransformersEngineConfig)):
            continue
        key = "engine.model" if group.engine is None else f"{role}.engine.model"
        if engine.model == POCKET or Path(engine.model).expanduser().is_dir():
            continue
        if role == "heads" or engine.model.startswith((".", "/", "~")):
            yield missing_file(key, engine.model)
            return
        if getattr(group, "prompts", None) == "pocket" and "pocket" not in engine.model.lower():
            yield (
                f"{role}.prompts (pocket) needs a model that was trained with the pocket's "
                f"special tokens, and {key} is {engine.model}; "
                f"choose experiment=chat for all roles, or {role}=chat"
            )
