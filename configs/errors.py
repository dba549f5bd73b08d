"""The error for every mistake in a configuration; entry points print it and exit with
code 2.
"""

from __future__ import annotations


class ConfigError(ValueError):
    """A configuration is invalid. The message has one line per mistake: dotted key,
    value, rule and remedy.
    """
