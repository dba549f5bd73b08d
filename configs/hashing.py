"""Hashes configurations: two have the same hash if and only if they should give the
same results. `difference` lists the options that differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from configs.options import tag_of
from configs.schema import Operational, RunConfig

_ABSENT = object()


def config_hash(config: RunConfig) -> str:
    """Returns a hash of 16 hex digits of all options that influence results, as
    canonical JSON.

    Options marked `OPERATIONAL` in the schema are left out: run.name, run.output_dir,
    run.concurrency, time-outs, memory sizes.
    """
    canonical = json.dumps(
        influential(config),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def influential(config: BaseModel) -> dict[str, Any]:
    """Returns the options that influence results, as plain data."""
    return {
        name: _plain(getattr(config, name))
        for name, field in type(config).model_fields.items()
        if not any(isinstance(item, Operational) for item in field.metadata)
    }


def difference(old: RunConfig, new: RunConfig) -> list[str]:
    """Returns a line "key: old -> new" for each changed option that influences results.

    A changed alternative of a group is one line; options that only one of the two
    alternatives has are not listed.
    """
    before, after = dict(_leaves("", influential(old))), dict(_leaves("", influential(new)))
    changed = [
        key
        for key in dict.fromkeys([*before, *after])
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]
    shared = {key for key in changed if key in before and key in after}
    exchanged = tuple(
        f"{place}."
        for place, _, last in (key.rpartition(".") for key in shared)
        if last == tag_of(place)
    )
    return [
        f"{key}: {_shown(before.get(key, _ABSENT))} -> {_shown(after.get(key, _ABSENT))}"
        for key in changed
        if key in shared or not key.startswith(exchanged)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return influential(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _leaves(prefix: str, tree: Mapping[str, Any]) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, value in tree.items():
        key = f"{prefix}.{name}" if prefix else name
        leaves += _leaves(key, value) if isinstance(value, Mapping) else [(key, value)]
    return leaves


def _shown(value: Any) -> str:
    return "(absent)" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
