"""User-defined objects, named `package.module:name` in the configuration.

The module must be installed, or lie in the working directory.
"""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

NAME = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
"""Regular expression of such a name."""


def load_object(name: str, option: str) -> Any:
    """Imports and returns the object `name`.

    Args:
        name: `package.module:name`.
        option: dotted key of the option that holds the name, for errors.

    Raises:
        ValueError: the name is malformed, the module cannot be imported, or it has no
            such attribute.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError(
            f"{option} ({name}) must be package.module:name, such as my_code.search:Random"
        )
    module, _, attribute = name.partition(":")
    if "" not in sys.path and "." not in sys.path:
        sys.path.append("")  # missing for a console script
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a script without a main guard may call sys.exit
        raise ValueError(
            f"{option} ({name}) names a module that cannot be imported ({type(error).__name__}: "
            f"{error}); install it, or start the command in the folder that holds it"
        ) from error
    if not hasattr(found, attribute):
        raise ValueError(
            f"{option} ({name}) names nothing: {module} has no {attribute}; correct the name"
        )
    return getattr(found, attribute)
