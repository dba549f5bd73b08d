"""Settings of roles with the schema's defaults: the schema owns them, so a test names
only what it changes.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from configs.schema import ConfigGroup

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def settings_of(kind: type[T], group: ConfigGroup, /, **changes: object) -> T:
    """Returns settings of the dataclass `kind` with the values of `group`, and
    `changes` in place of them.
    """
    values: dict[str, Any] = {
        name: value for name, value in group if name in {field.name for field in fields(kind)}
    }
    return kind(**values | changes)
