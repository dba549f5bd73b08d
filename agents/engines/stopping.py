"""When a completion ends and how its text ends with it: the rules of vLLM, for it and
for the engines that sample themselves.
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
    """The completion's text, cut behind the stop string where one ended it (its last
    token may say more)."""


def find_ending(
    token_ids: Sequence[int], text: str, request: GenerateRequest, eos_token_ids: Container[int]
) -> Ending | None:
    """Returns how a completion ended with its last token, or None: it goes on.

    A stop string goes before a stop token, both before "length". Of several stop
    strings the one that is complete first wins, then the one named first.
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
    """Returns what vLLM sent as a completion: its text cut behind the stop string, and
    the end of the sequence no reason to name.
    """
    text = tokenizer.decode(token_ids)
    if isinstance(stop_reason, str):
        end = text.find(stop_reason)
        text = text if end < 0 else text[: end + len(stop_reason)]
    elif stop_reason is not None and stop_reason in eos_token_ids:
        stop_reason = None
    return Completion(text, token_ids, logprobs, finish_reason, stop_reason)


def tokens_that_say(text: str, tokenizer: Tokenizer, vocabulary_size: int) -> frozenset[int]:
    """Returns the tokens that hold a text, where it cannot be written without one of
    them; none where several tokens could share it.

    A completion ends with such a text where it ends with such a token, so nobody has to
    read along to find it.
    """
    # how bytes and spaces are read depends on the tokens beside them
    if len(text) < 2 or not text.isascii() or " " in text:
        return frozenset()
    beginnings = tuple(text[:length] for length in range(1, len(text)))
    if any(
        tokenizer.decode(tokenizer.encode(beginning)).endswith(beginning)
        for beginning in beginnings
    ):
        # most tokenizers can write them, which spares a look at all of their tokens
        return frozenset()
    said = {token: tokenizer.decode([token]) for token in range(vocabulary_size)}
    if any(piece.endswith(beginnings) and text not in piece for piece in said.values()):
        return frozenset()
    return frozenset(token for token, piece in said.items() if text in piece)
