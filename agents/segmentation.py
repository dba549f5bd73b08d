"""Where a step ends.

One rule for every model: a step ends with the token that completes a blank line ("\\n\\n" in the decoded text), or with the end of
the sequence. The rule is applied by the engine as a stop string when the policy writes one step at a time, and here to a completion
that ran through to its answer; both give the same steps, unless the model begins one with a blank line, which the engine takes for its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from agents.engines.base import Tokenizer

_pieces: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
"""What each token says alone, as far as it was asked for."""


def cut_steps(token_ids: Sequence[int], tokenizer: Tokenizer, *, separator: str = "\n\n") -> list[slice]:
    """Returns the slices of a completion that are its steps, in order; together they cover every token.

    A blank line before any word ends no step: it stays with the step that follows. Only tokens with a part of the separator in
    them are decoded with what stands before them, so that the cost is linear in ordinary text. The last token is not looked at: a step
    ends there in any case.
    """
    pieces = _pieces.setdefault(tokenizer, {})
    cuts: list[slice] = []
    start = 0
    for end, token in enumerate(token_ids[:-1], start=1):
        piece = pieces.get(token)
        if piece is None:
            piece = pieces[token] = tokenizer.decode([token])
        if separator[-1] not in piece:
            continue
        text = tokenizer.decode(list(token_ids[start:end]))
        if separator in text.lstrip():
            cuts.append(slice(start, end))
            start = end
    if start < len(token_ids):
        cuts.append(slice(start, len(token_ids)))
    return cuts
