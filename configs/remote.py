"""The allow-list of options that a remote caller of a served graph may change.

    effort=auto | low | medium | high search, budget and the model's own thinking; the
                                      budget is cut to the server's own
    budget=NAME, budget.max_tokens=N  caps, each at most the server's own
    search=NAME                       a strategy or preset that comes with the package
    search.num_samples=N              a number among the options of the chosen strategy
    preset=NAME                       a configuration that the server's owner has
                                      registered (see graphs.reasoner.presets)

The words look like those of a command line but never reach Hydra: each key is looked up
in a table, each value must match a literal grammar, and the choices are put into the
server's own `RunConfig`, which is validated again. As on the command line, the choice
of a group wins over effort, and a single option wins over both.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from configs.compose import compose, from_mapping
from configs.errors import ConfigError
from configs.options import groups
from configs.schema import BudgetConfig, RunConfig
from configs.store import CONFIG_DIR

MOST_WORDS = 32
MOST_INTEGER = 1024
"""Largest integer of a search option: more samples, width or simulations use memory
before any budget stops them."""
MOST_NUMBER = 1e6
"""Largest number of any other option."""

_KEY = re.compile(r"preset|effort|(?:search|budget)(?:\.[a-z_]{1,40})?", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_.+-]{1,64}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,12})?(?:e[+-]?[0-9]{1,2})?", re.ASCII)
_WAY_OUT = (
    "callers may set preset, effort, search, budget, search.NUMBER and budget.NUMBER, and the "
    "server's owner sets the rest where the server starts (LONGTHOUGHT_CONFIG); a caller in its "
    "process uses Reasoner or a registered resources key"
)


def parse_remote(words: Sequence[str]) -> dict[str, str]:
    """Returns key -> value of a context's words; keys are on the allow-list, values are
    plain letters and digits.

    Raises:
        ConfigError: a word is anything else, a key is repeated, or there are more than
            `MOST_WORDS` words.
    """
    if not isinstance(words, list | tuple) or len(words) > MOST_WORDS:
        what = f"{len(words)} of them" if isinstance(words, list | tuple) else type(words).__name__
        raise ConfigError(
            "Context.overrides must be a list of at most "
            f"{MOST_WORDS} texts and is {what}; "
            'write ["effort=low"]'
        )
    choices: dict[str, str] = {}
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(
                "Context.overrides must be texts such as effort=low, and one is "
                f"{type(word).__name__}; write key=value"
            )
        key, _, value = word.partition("=")
        if not _KEY.fullmatch(key):
            raise ConfigError(
                f"Context.overrides: {key[:60]!a} is not open to the callers of a served graph; "
                f"{_WAY_OUT}"
            )
        if not _VALUE.fullmatch(value):
            raise ConfigError(
                f"Context.overrides: {key} ({value[:60]!a}) must be a plain name or number of at "
                f"most 64 characters; write {key}=VALUE"
            )
        if key in choices:
            raise ConfigError(f"Context.overrides: {key} stands twice; leave one of the two out")
        choices[key] = value
    return choices


def remote_config(own: RunConfig, choices: Mapping[str, str]) -> RunConfig:
    """Returns the server's configuration with the choices of a remote caller applied.

    Args:
        own: the configuration of the server, or of the preset that the caller names.
        choices: values by key, as `parse_remote` returns them, without `preset`.

    Raises:
        ConfigError: a choice or number does not exist, or exceeds its bound or the
            server's cap.
    """
    search, budget = own.search.model_dump(mode="json"), own.budget
    policy = own.policy.model_dump(mode="json")
    if "effort" in choices:
        chosen = _shipped("effort", choices["effort"])
        policy["reasoning_effort"] = chosen.policy.reasoning_effort
        search, budget = chosen.search.model_dump(mode="json"), _cut(chosen.budget, own.budget)
    if "budget" in choices:
        budget = _within(
            _shipped("budget", choices["budget"]).budget, own.budget, f"budget={choices['budget']}"
        )
    if "search" in choices:
        search = _shipped("search", choices["search"]).search.model_dump(mode="json")
    for key, value in choices.items():
        group, _, option = key.partition(".")
        if option and group == "budget":
            number = _number(key, option, value, BudgetConfig)
            budget = _within(budget.model_copy(update={option: number}), own.budget, key)
        elif option:
            search[option] = _number(key, option, value, _strategy(search["strategy"]))
    return from_mapping(
        own.model_dump(mode="json")
        | {"search": search, "budget": budget.model_dump(mode="json"), "policy": policy}
    )


def _strategy(name: str) -> type[BaseModel]:
    return next(choice.model for choice in groups()["search"] if choice.value == name)


def _names(group: str) -> set[str]:
    """Returns the choices of a group that come with the package."""
    presets = {path.stem for path in (CONFIG_DIR / group).glob("*.yaml")}
    return presets | {choice.value for choice in groups().get(group, ()) if choice.value}


@lru_cache(maxsize=64)
def _shipped(group: str, name: str) -> RunConfig:
    """Returns the composition of one choice that comes with the package."""
    names = _names(group)
    if name not in names:
        raise ConfigError(
            f"Context.overrides: {group} ({name}) must be one of {', '.join(sorted(names))}"
        )
    return compose([f"{group}={name}"])


def _number(key: str, option: str, value: str, model: type[BaseModel]) -> int | float:
    """Returns the value of a numeric option; the schema's bounds are checked later,
    with the whole configuration.
    """
    kinds = {
        name: kind
        for name, field in model.model_fields.items()
        if (kind := _kind(field.annotation)) is not None
    }
    if option not in kinds:
        raise ConfigError(
            f"Context.overrides: {key} is no number that a caller may set; with these choices "
            f"there are {', '.join(kinds)}"
        )
    if kinds[option] == "integer":
        most = MOST_INTEGER if model is not BudgetConfig else 10**9
        if _INTEGER.fullmatch(value) and int(value) <= most:
            return int(value)
        raise ConfigError(
            f"Context.overrides: {key} ({value}) must be an integer, at most {most}; lower it"
        )
    if _NUMBER.fullmatch(value) and abs(float(value)) <= MOST_NUMBER:
        return float(value)
    raise ConfigError(
        f"Context.overrides: {key} ({value}) must be a number, at most {MOST_NUMBER:g}; lower it"
    )


def _kind(annotation: Any) -> Literal["integer", "number"] | None:
    """Returns the kind of number that an annotation allows; None for any other type,
    bool included.
    """
    parts = (
        get_args(annotation)
        if get_origin(annotation) in (Union, types.UnionType)
        else (annotation,)
    )
    numbers = {part for part in parts if part is not types.NoneType}
    return (
        "integer" if numbers == {int} else "number" if numbers in ({float}, {int, float}) else None
    )


def _cut(wanted: BudgetConfig, own: BudgetConfig) -> BudgetConfig:
    """Returns the budget with each cap lowered to the server's own; null means no
    cap.
    """
    caps = {name: (getattr(wanted, name), getattr(own, name)) for name in BudgetConfig.model_fields}
    return own.model_copy(
        update={
            name: min((cap for cap in both if cap is not None), default=None)
            for name, both in caps.items()
        }
    )


def _within(wanted: BudgetConfig, own: BudgetConfig, asked: str) -> BudgetConfig:
    """Returns the budget if no cap exceeds the server's own; caps that are null take
    the server's.

    Raises:
        ConfigError: a cap exceeds the server's own.
    """
    cut = _cut(wanted, own)
    for name in BudgetConfig.model_fields:
        cap = getattr(wanted, name)
        if cap is not None and cap > getattr(cut, name):
            raise ConfigError(
                f"Context.overrides: {asked} asks for budget.{name} {cap} and the server's own cap "
                f"is {getattr(own, name)}; ask for at most that; the server's owner raises it "
                "where the server starts (LONGTHOUGHT_CONFIG)"
            )
    return cut
