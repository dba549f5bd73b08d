"""A trace as a row of the store: its columns, and the checksum over them."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Sequence
from typing import Any

from graphs.traces.codec import AuditCodec
from graphs.traces.trace import Trace

VISIBLE = (
    *("run", "question_hash", "sample", "task", "question", "status"),
    *("answer", "correct", "summary", "usage", "seconds"),
)
"""Columns that a user may see."""
COLUMNS = (*VISIBLE, "trace")
"""All columns that a trace fills; `trace` is hidden."""


def row_of(trace: Trace, codec: AuditCodec) -> tuple[Any, ...]:
    """Returns the row of a trace: `COLUMNS` and its checksum."""
    usage = {
        role: [used.prompt_tokens, used.cached_prompt_tokens, used.generated_tokens, used.calls]
        for role, used in trace.usage.items()
    }
    row = (
        *(
            trace.run,
            trace.question.hash,
            int(trace.sample),
            trace.question.task,
            _utf8(trace.question.text),
            trace.status,
        ),
        *(
            None if trace.answer is None else _utf8(trace.answer),
            None if trace.correct is None else int(trace.correct),
        ),
        *(_utf8(trace.summary), json.dumps(usage), float(trace.seconds), codec.dumps(trace)),
    )
    return (*row, checksum_of(row))


def checksum_of(row: Sequence[Any]) -> int:
    """Returns the CRC-32 of a row's columns, with the types that SQLite returns.

    Raises:
        TypeError: the last column is not bytes.
    """
    *visible, blob = row
    return zlib.crc32(blob, zlib.crc32(json.dumps(visible).encode()))


def _utf8(text: str) -> str:
    """Returns the text with surrogates replaced, which UTF-8 cannot encode; the encoded
    trace keeps the exact text.
    """
    with contextlib.suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-8", "replace").decode()
