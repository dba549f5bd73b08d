"""Checks that `agents`, `graphs`, `training` and `configs` are this distribution's.

Other distributions use these import names, too (`agents` above all). The check runs
before any other import, so a clash is one clear error instead of a missing attribute
ten imports later.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGES = ("agents", "graphs", "training", "configs")


def check_layout(root: Path = Path(__file__).parent.parent) -> None:
    """Checks that every package is found in `root`.

    Raises:
        ImportError: a package is missing, or another distribution comes first on the
            path.
    """
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        places = (
            [Path(place).resolve() for place in (spec.submodule_search_locations or [])]
            if spec
            else []
        )
        if (root / name).resolve() not in places[:1]:
            found = f"is taken by {places[0]}" if places else "is missing"
            raise ImportError(
                f"the import name {name!r} {found}, and longthought needs {root / name} there; "
                "install longthought into a virtual environment of its own (make setup)"
            )
