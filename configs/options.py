"""The schema as a flat list of options, for `--help`, for error messages and for
Hydra's ConfigStore.

A group of `RunConfig` is either one model or a choice between alternatives (`engine`,
`search`, `task`, `training`, `comparison`; null may be one). A tag, which is a field
with one literal value, names the alternative. The tag is not an option of its own: it
is chosen as `search=best_of_n`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from configs.schema import RunConfig

MISSING = "???"
"""OmegaConf's mark for a required value without a default."""

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
    types.NoneType: "null",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option that a user can set."""

    key: str
    """Dotted key, as written on the command line."""
    rule: str
    """Type and bounds in words: "an integer, at least 1"."""
    default: Any
    """Default as plain data, or `MISSING`."""
    description: str
    choice: str | None
    """The alternative that has the option ("vllm" of engine=vllm); None in a group
    without alternatives."""

    @property
    def group(self) -> str:
        """First part of the key."""
        return self.key.partition(".")[0]


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """One of the alternatives of a group."""

    model: type[BaseModel]
    tag: str | None
    """Name of the field that identifies the alternative; None in a group without
    alternatives."""
    value: str | None
    """The tag's value, which is also the name of the group option."""
    description: str


def models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Returns the model classes that an annotation allows; unwraps Annotated and
    unions, not tuples.
    """
    if get_origin(annotation) is Annotated:
        return models_in(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(model for part in get_args(annotation) for model in models_in(part))
    return (
        (annotation,) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ()
    )


@cache
def groups() -> Mapping[str, tuple[GroupChoice, ...]]:
    """Returns the groups of `RunConfig` in their order, each with its alternatives."""
    result: dict[str, tuple[GroupChoice, ...]] = {}
    for group, field in RunConfig.model_fields.items():
        models = models_in(field.annotation)
        if len(models) == 1 and field.get_default(call_default_factory=True) is not None:
            result[group] = (GroupChoice(models[0], None, None, field.description or ""),)
        else:
            result[group] = tuple(_choice(model) for model in models)
    return result


def _choice(model: type[BaseModel]) -> GroupChoice:
    for name, field in model.model_fields.items():
        values = get_args(field.annotation)
        if get_origin(field.annotation) is Literal and len(values) == 1:
            return GroupChoice(model, name, values[0], field.description or "")
    raise TypeError(
        f"{model.__name__} is one of several alternatives and needs a field with one literal value "
        "that names it"
    )


@cache
def roles_with_engine() -> tuple[str, ...]:
    """Returns the groups that can have an engine of their own."""
    return tuple(
        group
        for group, choices in groups().items()
        if any("engine" in choice.model.model_fields for choice in choices)
    )


def choices_of(place: str) -> tuple[GroupChoice, ...]:
    """Returns the alternatives of a group ("search") or of a role's engine
    ("critic.engine"); empty if the group does not exist.
    """
    role, _, rest = place.partition(".")
    return groups().get("engine" if rest == "engine" and role in groups() else place, ())


def tag_of(place: str) -> str | None:
    """Returns the tag of a group ("strategy" for search) or of a role's engine ("kind"
    for critic.engine); None without alternatives.
    """
    choices = choices_of(place)
    return choices[0].tag if choices else None


@cache
def options() -> tuple[Option, ...]:
    """Returns every option of the schema; an option that several alternatives share
    appears once for each.
    """
    return tuple(
        option
        for group, choices in groups().items()
        for choice in choices
        for option in _walk(group, choice.model, choice.value, choice.tag)
    )


def find(key: str) -> tuple[Option, ...]:
    """Returns the options with this dotted key, one per alternative that has it.
    `policy.engine.model` is found as `engine.model`.
    """
    role, _, rest = key.partition(".")
    if rest.startswith("engine.") and role in groups():
        key = rest
    return tuple(option for option in options() if option.key == key)


def _walk(
    prefix: str, model: type[BaseModel], choice: str | None, tag: str | None = None
) -> Iterator[Option]:
    for name, field in model.model_fields.items():
        if name == tag:
            continue
        key, nested = f"{prefix}.{name}", models_in(field.annotation)
        if len(nested) == 1:
            yield from _walk(key, nested[0], choice)
        else:
            default = (
                MISSING
                if field.is_required()
                else plain(field.get_default(call_default_factory=True))
            )
            description = " ".join((field.description or "").split())
            yield Option(key, _rule(field), default, description, choice)


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the defaults of a model as plain data; `MISSING` for required values."""
    return {
        name: MISSING
        if field.is_required()
        else plain(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
    }


def plain(value: Any) -> Any:
    """Returns a default as data for YAML and JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _rule(field: FieldInfo) -> str:
    """Returns type and bounds of a field in words."""
    words = _type(field.annotation)
    bounds = _bounds(field.metadata)
    return f"{words}, {bounds}" if bounds else words


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        words, bounds = _type(get_args(annotation)[0]), _bounds(get_args(annotation)[1:])
        return f"{words} {bounds}" if bounds else words
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        if len(models_in(annotation)) > 1:
            return "an engine or null"
        parts = [_type(part) for part in get_args(annotation)]
        return (" | " if any(" | " in part for part in parts) else " or ").join(parts)
    if get_origin(annotation) is dict:
        return "a mapping"
    if get_origin(annotation) is tuple:
        return f"a list of {_type(get_args(annotation)[0]).removeprefix('an ').removeprefix('a ')}s"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "{" + ", ".join(annotation.model_fields) + "}"
    return _NAMES.get(annotation, str(annotation))


def _bounds(metadata: Any) -> str:
    bounds = {
        name: getattr(item, name)
        for item in metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern")
        if hasattr(item, name)
    }
    words = [
        text.format(bounds[name])
        for name, text in (
            ("ge", "at least {}"),
            ("gt", "above {}"),
            ("le", "at most {}"),
            ("lt", "below {}"),
        )
        if name in bounds
    ]
    if bounds.get("min_length"):
        words.append("not empty")
    if bounds.get("pattern"):
        words.append(f"matching {bounds['pattern']}")
    return ", ".join(words)
