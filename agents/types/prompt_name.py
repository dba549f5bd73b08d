"""Names of prompt families, which configuration and families share."""

from __future__ import annotations

FAMILIES = ("pocket", "chat", "math", "code")
"""Names of the families that come with the package."""


def names_file(name: str) -> bool:
    """Whether a name is that of a YAML file, and not of one of `FAMILIES`."""
    return name.endswith((".yaml", ".yml"))
