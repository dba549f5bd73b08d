"""What all groups of options have in common.

A group is a frozen pydantic model. The fields define names, types, bounds and defaults.
The docstring under a field is the only description of that option: `--help` and the
error messages show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue

from agents.types.prompt_name import FAMILIES, names_file


def _is_family(name: str) -> str:
    if name not in FAMILIES and not names_file(name):
        raise ValueError(f"must be one of {', '.join(FAMILIES)}, or a YAML file")
    return name


PromptFamily = Annotated[str, AfterValidator(_is_family)]
"""`pocket`: the special tokens that the pocket model was trained with. `chat`, `math`,
`code`: words, for any model with a chat template. Or a YAML file with the fields of
agents/prompts/family.py."""

TemplateOptions = dict[str, JsonValue]
"""Variables of a chat template."""


@dataclass(frozen=True, slots=True)
class Operational:
    """Marks an option that does not influence results; the config hash leaves it
    out.
    """


OPERATIONAL = Operational()


def check_different(option: str, names: Sequence[str]) -> None:
    """Rejects a list with a repeated name.

    Raises:
        ValueError: a name is repeated.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{option} names {', '.join(twice)} twice; give each another name")


class ConfigGroup(BaseModel):
    """Base of all option groups: immutable and hashable; unknown names are an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )
