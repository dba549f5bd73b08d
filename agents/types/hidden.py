"""`Hidden[T]`: the type that keeps a thought from its reader.

The text of every step and every critique is wrapped in a `Hidden`: printing,
formatting, logging, error messages and debuggers show `<hidden>`, and json and pickle
refuse it. Only two functions return the value, and a test lists all their callers:
`reveal()` for the code that must read the thought (prompts, summarizer, training data,
the audit view), and `AuditCodec` (graphs/traces/codec.py) for disk and other processes.

Source: OpenAI, "Learning to reason with LLMs" (2024): raw chains of thought are not
shown, a separate summary is.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")

_PLACEHOLDER = "<hidden>"


class Hidden(Generic[T]):
    """A value that can be passed anywhere but not displayed. Immutable; equal when the
    wrapped values are equal.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> T:
        """Returns the value. Call it only where code, or the audit view, must read the
        thought.
        """
        value: T = object.__getattribute__(self, "_value")
        return value

    def __repr__(self) -> str:
        return _PLACEHOLDER

    def __format__(self, spec: str) -> str:
        return format(_PLACEHOLDER, spec)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("Hidden is immutable; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("Hidden is immutable; make a new one")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and bool(self.reveal() == other.reveal())

    def __hash__(self) -> int:
        return hash((Hidden, self.reveal()))

    def __copy__(self) -> Hidden[T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Hidden[T]:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "Hidden does not pickle, so that a thought cannot leave the process unseen; encode it "
            "with graphs.traces.codec.AuditCodec"
        )
