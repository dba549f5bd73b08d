"""Where a completion ends and where its text is cut: vLLM's rules, shared by all
engines.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from agents.engines.base import Completion, GenerateRequest, Tokenizer
from agents.types import FinishReason


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a completion ended."""

    finish_reason: FinishReason
    stop_reason: str | int | None
    text: str
    """The completion's text, cut after the stop string that ended it (the last token
    may extend beyond it)."""


def find_ending(
    token_ids: Sequence[int], text: str, request: GenerateRequest, eos_token_ids: Container[int]
) -> Ending | None:
    """Returns how a completion ended at its last token; None if it continues.

    A stop string takes precedence over a stop token, both over "length". Among several
    stop strings the one that is complete first wins, then the one listed first.
    """
    matches = [
        (found + len(stop), stop) for stop in request.stop if (found := text.find(stop)) >= 0
    ]
    if matches:
        end, stop = min(matches, key=lambda match: match[0])
        return Ending("stop", stop, text[:end])
    if token_ids[-1] in eos_token_ids:
        return Ending("stop", None, text)
    if token_ids[-1] in request.stop_token_ids:
        return Ending("stop", token_ids[-1], text)
    if len(token_ids) >= request.max_tokens:
        return Ending("length", None, text)
    return None


def served_completion(
    token_ids: tuple[int, ...],
    logprobs: tuple[float, ...],
    finish_reason: FinishReason,
    stop_reason: str | int | None,
    *,
    tokenizer: Tokenizer,
    eos_token_ids: Container[int],
) -> Completion:
    """Returns vLLM's output as a completion: the text is cut after the stop string, and
    an end-of-sequence token is not reported as the stop reason.
    """
    text = tokenizer.decode(token_ids)
    if isinstance(stop_reason, str):
        end = text.find(stop_reason)
        text = text if end < 0 else text[: end + len(stop_reason)]
    elif stop_reason is not None and stop_reason in eos_token_ids:
        stop_reason = None
    return Completion(text, token_ids, logprobs, finish_reason, stop_reason)


def tokens_containing(text: str, tokenizer: Tokenizer, vocabulary_size: int) -> frozenset[int]:
    """Returns the tokens whose text contains `text`, if every occurrence of `text` lies
    within one token; the empty set if it could span several tokens.

    Stopping at these tokens then equals stopping at `text`, without decoding each
    token.
    """
    # the decoding of bytes and spaces depends on the neighbouring tokens
    if len(text) < 2 or not text.isascii() or " " in text:
        return frozenset()
    beginnings = tuple(text[:length] for length in range(1, len(text)))
    if any(
        tokenizer.decode(tokenizer.encode(beginning)).endswith(beginning)
        for beginning in beginnings
    ):
        # true of most tokenizers; spares decoding the whole vocabulary
        return frozenset()
    pieces = {token: tokenizer.decode([token]) for token in range(vocabulary_size)}
    if any(piece.endswith(beginnings) and text not in piece for piece in pieces.values()):
        return frozenset()
    return frozenset(token for token, piece in pieces.items() if text in piece)
