"""Metadata of dataclass fields that were added after the first stored traces."""

from __future__ import annotations

ADDED = {"may_be_missing": True}
"""Metadata of a field that older traces lack; reading such a trace fills in its
default."""
