"""The errors that a caller may catch: failures of engines, disks and data. Wrong
arguments raise ValueError or TypeError.
"""

from __future__ import annotations

from pathlib import Path


class LongthoughtError(Exception):
    """Base of all errors that a caller of longthought may want to handle."""


class EngineError(LongthoughtError):
    """An engine could not serve a request."""


class EngineUnavailableError(EngineError):
    """An engine cannot be built or reached: a missing extra, no such model folder, no
    server at that address.
    """


class BadReplyError(EngineError):
    """A model server's reply is invalid: not JSON, not the schema, or not what the
    request asked for.

    The message shows the beginning of the body, without API keys and completions.
    """


class EngineDiedError(EngineError):
    """An engine stopped working while requests were in flight.

    `in_flight`: number of requests that were lost.
    """

    def __init__(self, message: str, *, in_flight: int) -> None:
        super().__init__(message)
        self.in_flight = in_flight


class ContextLengthError(LongthoughtError):
    """A request does not fit: prompt tokens plus max_tokens exceed the model's context.

    Not an EngineError, because other requests still succeed. Engines raise it instead
    of truncating silently. `prompt_tokens`, `max_tokens` and `context_length` are in
    tokens.
    """

    def __init__(
        self, *, prompt_tokens: int, max_tokens: int, context_length: int, server: str | None = None
    ) -> None:
        """`server`: address of a server that refused a request which fits
        engine.context_length. `context_length` is then the number in its refusal, or 0
        without one.
        """
        request = f"the prompt ({prompt_tokens} tokens) plus max_tokens ({max_tokens})"
        limit = f"{context_length} tokens" if context_length else "fewer tokens"
        super().__init__(
            f"{request} exceeds the model's context of {context_length} tokens; lower "
            "policy.max_step_tokens or budget.max_depth, or choose a model with a longer context"
            if server is None
            else f"{request} is too long for {server}, whose context holds {limit}; set "
            "engine.context_length to its context"
        )
        self.prompt_tokens = prompt_tokens
        self.max_tokens = max_tokens
        self.context_length = context_length


class LostThoughtError(LongthoughtError):
    """A checkpoint of the graph refers to a thought that is not in this process.

    `thought_id`: its name, as the state holds it.
    """

    def __init__(self, thought_id: object) -> None:
        super().__init__(
            f"thought {ascii(thought_id)[:80]} is not in the memory of this process: thoughts are "
            "dropped when their process ends, when their run fails or is cancelled, and when newer "
            "paused thoughts need the space; ask the question again"
        )
        self.thought_id = thought_id


class BadTraceError(LongthoughtError):
    """A stored trace cannot be read back."""


class StorageError(LongthoughtError):
    """A file or folder cannot be read or written: disk full, no permission, a file
    where a folder is needed.

    `path`: the file or folder. `reason`: the cause, in one clause. `remedy`: the way
    out.
    """

    def __init__(self, path: Path | str, reason: str, remedy: str) -> None:
        super().__init__(f"cannot use {path}: {reason}; {remedy}")
        self.path = Path(path)
        self.reason = reason
        self.remedy = remedy


class RunConflictError(LongthoughtError):
    """A run of that name exists with another configuration, other questions or other
    weights, or is being written by another process.
    """


class BadDataError(LongthoughtError):
    """A data set cannot be used: unknown, missing, or with no readable question in
    it.
    """


class ThoughtsDeletedError(BadDataError):
    """A run's hidden thoughts are requested but were deleted.

    `deleted_on`: the day, as YYYY-MM-DD.
    """

    def __init__(self, message: str, *, deleted_on: str) -> None:
        super().__init__(message)
        self.deleted_on = deleted_on
