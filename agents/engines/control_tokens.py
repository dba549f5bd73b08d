"""Keeps data from becoming control tokens.

A tokenizer turns the text of a control token ("<|im_end|>") into that token wherever it
finds it, also where a question spells it out, and a model obeys it there. So a prompt
is encoded from a template and its data: control tokens of the template are control
tokens, and their texts in the data are ordinary text.

In the data, the text of a control token is cut behind its first character, and the
rendered prompt is encoded in the pieces between the cuts. No piece of the data holds a
whole control token; cuts stand nowhere else; so a prompt whose data spells none out has
the ids of the whole text, and any template may trim its data or choose by it.
`tokenizers` can switch control tokens off (`encode_special_tokens`), but only for a
whole text, and only those that are marked as special, which `<think>` or `<tool_call>`
are not everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

_CUT = "\ufdd0"  # a Unicode noncharacter: no template writes it
_CUTS = re.compile(f"{_CUT}+")


class ControlTokens:
    """The texts that one tokenizer reads as control tokens."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts`: those of all control tokens; one of a single character cannot be cut
        and is left out.
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
            render: fills a template with texts in the place of `data`; they may hold
                noncharacters (U+FDD0).
            data: texts that are no part of the template.
            encode: encodes a text, control tokens in it as such.
        """
        if self._starts is None or not any(self._starts.search(text) for text in data):
            return encode(render(data))
        longest = max((len(run) for text in data for run in _CUTS.findall(text)), default=0)
        cut = _CUT * (longest + 1)
        text = render([self._starts.sub(rf"\g<0>{cut}", text) for text in data])
        return [token for piece in text.split(cut) if piece for token in encode(piece)]
