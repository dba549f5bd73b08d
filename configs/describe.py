"""The texts of `--help` and `--help-all`: options with their keys, defaults, rules and
descriptions.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence

from configs.compose import group_options
from configs.options import MISSING, Option, find, groups, options, tag_of
from configs.schema import RunConfig
from configs.store import PRESETS, default_choices

_KEY_COLUMN = 38
_INTRODUCTION = (
    "Options are key=value words. GROUP=NAME chooses a preset or an alternative, "
    "GROUP.OPTION=VALUE sets one option; the defaults of the schema are shown, and a preset may "
    "choose others. Lists are written '[a, b]', null is none. experiment=NAME and effort=NAME "
    "choose several groups at once. A word for one group or option takes precedence over effort "
    "(search and budget), and effort over experiment. A role gets an engine of its own with "
    "engine@policy.engine=openai policy.engine.base_url=..., likewise critic, reflector, "
    "summarizer."
)


def describe(width: int = 120) -> str:
    """Returns the options of all groups as text, wrapped at `width` characters; longer
    words are not broken.
    """
    blocks = [textwrap.fill(_INTRODUCTION, width)]
    presets = (
        f"{group}=NAME  with NAME one of: {', '.join(group_options(group))}" for group in PRESETS
    )
    blocks.append("\n".join(textwrap.fill(line, width, subsequent_indent="  ") for line in presets))
    blocks += ["\n".join(_group(group, width)) for group in groups()]
    return "\n\n".join(blocks)


def summaries(keys: Sequence[str], width: int = 80) -> Iterator[str]:
    """Yields the lines of the short help about a few options and groups.

    A group (search) is shown with its choices, an option (policy.temperature) with the
    first sentence of its description.

    Raises:
        ValueError: a key is neither a group nor an option.
    """
    for key in keys:
        if key in (*groups(), *PRESETS):
            names = ", ".join(group_options(key))
            yield from textwrap.wrap(
                f"{key}=NAME  {names}",
                width,
                initial_indent="  ",
                subsequent_indent="      ",
                break_on_hyphens=False,
            )
            continue
        found = find(key)
        if not found:
            raise ValueError(f"{key} is no option and no group of the schema")
        sentence = re.split(r"[.;:] |[.;:]$", " ".join(found[0].description.split()))[0]
        label = f"{key}=VALUE"
        yield from textwrap.wrap(
            f"{label:<32} {sentence}",
            width,
            initial_indent="  ",
            subsequent_indent=" " * 35,
            break_on_hyphens=False,
        )


def _group(group: str, width: int) -> Iterator[str]:
    choices, names, default = groups()[group], group_options(group), default_choices()[group]
    yield f"{group}: {RunConfig.model_fields[group].description}"
    if tag_of(group):
        for choice in choices:
            yield from _line(
                f"{group}={choice.value}",
                choice.description + (" (default)" if choice.value == default else ""),
                width,
            )
        alternatives = {choice.value for choice in choices}
        if presets := [
            f"{name} (default)" if name == default else name
            for name in names
            if name not in alternatives
        ]:
            yield from _line(f"{group}=PRESET", f"Presets of these: {', '.join(presets)}.", width)
    elif len(names) > 1:
        yield from _line(
            f"{group}=NAME", f"Presets: {', '.join(names)}; {default} by default.", width
        )
    for labels, members in _by_alternatives(group):
        if len(labels) < len(choices):
            heading = f"With {group}={' | '.join(labels)}:"
            yield from textwrap.wrap(
                heading,
                width,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
        for option in members:
            shown = (
                "REQUIRED"
                if option.default == MISSING
                else json.dumps(option.default, ensure_ascii=False)
            )
            room = width - len(option.key) - len("  = ...")
            shown = shown if len(shown) <= room else f"{shown[:room]} ..."
            yield from _line(
                f"{option.key}={shown}", f"{option.description} [{option.rule}]", width
            )


def _by_alternatives(group: str) -> list[tuple[tuple[str, ...], list[Option]]]:
    """Returns the options of a group, by the alternatives that share them, most widely
    shared first.
    """
    alike: dict[tuple[str, str, str, str], list[Option]] = {}
    for option in options():
        if option.group == group:
            alike.setdefault(
                (option.key, option.rule, json.dumps(option.default), option.description), []
            ).append(option)
    sections: dict[tuple[str, ...], list[Option]] = {}
    for same in alike.values():
        sections.setdefault(tuple(option.choice or "" for option in same), []).append(same[0])
    return sorted(sections.items(), key=lambda section: -len(section[0]))


def _line(key: str, text: str, width: int) -> Iterator[str]:
    """Yields a key and its text in two columns; a long key has a line of its own."""
    wrapped = textwrap.wrap(
        text, max(width - _KEY_COLUMN, 40), break_long_words=False, break_on_hyphens=False
    )
    if len(key) + 4 > _KEY_COLUMN:
        yield f"  {key}"
    else:
        yield f"  {key:<{_KEY_COLUMN - 2}}{wrapped.pop(0)}"
    for line in wrapped:
        yield " " * _KEY_COLUMN + line
