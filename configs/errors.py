"""What is raised for every mistake in a configuration; entry points print it and exit
with code 2.
"""

from __future__ import annotations


class ConfigError(ValueError):
    """A configuration was refused. The text holds the dotted key, the value, the rule
    and the way out; one line per mistake.
    """
