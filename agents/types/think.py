"""The delimiters of a policy's thoughts, as the user sets them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ThinkSettings(BaseModel):
    """Where a thought begins and ends (`policy.think`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    start: Annotated[str, Field(min_length=1)] | None = None
    """Text that opens a thought; null: as in the model's tokenizer or chat template."""
    end: Annotated[str, Field(min_length=1)] | None = None
    """Text that closes a thought; null: as in the model's tokenizer or chat
    template."""
    closing: str = ""
    """Words before the end where budget.thinking_tokens closes a thought: "I have to
    answer now."; empty: none."""
    forced: bool = False
    """Whether every thought is opened by the policy's controller, for a model that does
    not think by itself; the opening is never trained on."""

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError(
                f"policy.think.start ({self.start}) and policy.think.end ({self.end}) must both be "
                "set, or neither; set the other one"
            )
        return self
