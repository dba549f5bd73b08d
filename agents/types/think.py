"""The delimiters of a policy's thoughts, as the user sets them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ThinkSettings(BaseModel):
    """Where a thought begins and ends (`policy.think`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    start: Annotated[str, Field(min_length=1)] = "<think>"
    """Text that opens a thought."""
    end: Annotated[str, Field(min_length=1)] = "</think>"
    """Text that closes a thought."""
    closing: str = ""
    """Words before `end` where budget.thinking_tokens closes a thought: "I have to
    answer now."; empty: none."""
    forced: bool = False
    """Whether every thought is opened by the policy's controller, for a model that does
    not think by itself. The opening is marked as forced and never trained on."""
