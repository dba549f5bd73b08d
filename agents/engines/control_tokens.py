"""Keeps data from becoming control tokens.

A tokenizer turns the text of a control token ("<|im_end|>") into that token wherever it
occurs, even inside a question, and the model obeys it there. So a prompt is encoded
from a template and its data: control tokens of the template stay control tokens, and
their texts in the data become ordinary text.

In the data, the text of a control token is cut after its first character, and the
pieces of the rendered prompt between the cuts are encoded separately, so no piece
contains a control token of the data. A prompt whose data contains none has no cuts and
is encoded whole; templates may still trim their data or branch on it. `tokenizers` can
disable control tokens (`encode_special_tokens`), but only for a whole text, and only
those that are marked as special, which `<think>` and `<tool_call>` often are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

_CUT = "\ufdd0"  # a Unicode noncharacter: no template writes it
_CUTS = re.compile(f"{_CUT}+")


class ControlTokens:
    """Encodes templates for one tokenizer; data never becomes a control token."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts`: texts of all control tokens; those of a single character cannot be
        cut and are ignored.
        """
        rests: dict[str, list[str]] = {}
        for text in texts:
            if len(text) > 1:
                rests.setdefault(text[0], []).append(re.escape(text[1:]))
        starts = (f"{re.escape(first)}(?={'|'.join(found)})" for first, found in rests.items())
        self._starts = re.compile("|".join(starts)) if rests else None

    def encode(
        self,
        render: Callable[[Sequence[str]], str],
        data: Sequence[str],
        encode: Callable[[str], list[int]],
    ) -> list[int]:
        """Returns the ids of `render(data)`, in which no text of `data` is a control
        token.

        Args:
            render: fills the template with variants of `data`, which may contain
                noncharacters (U+FDD0).
            data: the texts that fill the template.
            encode: encodes a text, including its control tokens.
        """
        if self._starts is None or not any(self._starts.search(text) for text in data):
            return encode(render(data))
        longest = max((len(run) for text in data for run in _CUTS.findall(text)), default=0)
        cut = _CUT * (longest + 1)
        text = render([self._starts.sub(rf"\g<0>{cut}", text) for text in data])
        return [token for piece in text.split(cut) if piece for token in encode(piece)]


def decode_with_marks(
    token_ids: Sequence[int], marks: Mapping[int, str], decode: Callable[[Sequence[int]], str]
) -> str:
    """Returns the text of `token_ids`, in which the tokens of `marks` have the texts
    given there.
    """
    texts: list[str] = []
    start = 0
    for end, token in enumerate(token_ids):
        if token in marks:
            texts += [decode(token_ids[start:end]) if end > start else "", marks[token]]
            start = end + 1
    return "".join(texts) + (decode(token_ids[start:]) if start < len(token_ids) else "")
