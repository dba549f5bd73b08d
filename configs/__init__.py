"""Configuration: the schema, Hydra's choices, and `compose`, which builds a frozen
`RunConfig`.
"""

from configs.compose import compose, from_mapping, from_yaml, group_options, sweep, to_yaml
from configs.errors import ConfigError
from configs.hashing import config_hash, difference
from configs.schema import RunConfig

__all__ = [
    "ConfigError",
    "RunConfig",
    "compose",
    "config_hash",
    "difference",
    "from_mapping",
    "from_yaml",
    "group_options",
    "sweep",
    "to_yaml",
]
