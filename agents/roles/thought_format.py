"""How a policy's model marks its thoughts: its delimiters in text and in token ids.

The delimiters are those of `policy.think`, or else the first ones of
`agents.safety.think_delimiters.KNOWN` that are in the tokenizer's vocabulary, or else
those with which the chat template opens the model's turn. A model without any does not
think: `find_format` returns None, and no thought is closed.

In the text of steps a delimiter of `policy.think` is spelled `<think>` or `</think>`,
so that everything that reads text knows one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.answers import ends_in_think_block
from agents.engines.base import Tokenizer
from agents.engines.control_tokens import decode_with_marks
from agents.roles.segmentation import decoded_token
from agents.safety.think_delimiters import KNOWN, THINK, ThinkDelimiters
from agents.types import ThinkSettings

_FIRST_TOKEN = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|◁[^◁▷]*▷")
_MOST_TOKENS_OF_AN_END = 24


@dataclass(frozen=True, slots=True)
class ThoughtFormat:
    """The delimiters of one model's thoughts."""

    tokenizer: Tokenizer
    delimiters: ThinkDelimiters
    closing: str
    """Text that closes a thought, up to the answer."""
    end_token: int | None
    """The token that ends a thought; None if the end has several tokens."""
    spelled: Mapping[str, str] = field(default_factory=dict)
    """`<think>` and `</think>` by the texts of `policy.think`, if they are others."""
    marks: Mapping[int, str] = field(default_factory=dict)
    """The same by token, for texts of one token, which decoding may leave out."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Returns the text of steps."""
        if not self.spelled:
            return self.tokenizer.decode(token_ids)
        text = decode_with_marks(token_ids, self.marks, self.tokenizer.decode)
        for own, tag in self.spelled.items():
            text = text.replace(own, tag)
        return text

    def ends(self, token_ids: Sequence[int]) -> list[int]:
        """Returns the index after each end of a thought in `token_ids`."""
        end = self.delimiters.end
        if self.end_token is not None:
            return [i for i, token in enumerate(token_ids, start=1) if token == self.end_token]
        places: list[int] = []
        for index, last in enumerate(token_ids, start=1):
            if end[-1] not in decoded_token(last, self.tokenizer):
                continue
            window = list(token_ids[max(0, index - _MOST_TOKENS_OF_AN_END) : index])
            found = self.tokenizer.decode(window).count(end)
            if found and found > self.tokenizer.decode(window[:-1]).count(end):
                places.append(index)
        return places


def find_format(
    tokenizer: Tokenizer, settings: ThinkSettings, prompt: Sequence[int]
) -> ThoughtFormat | None:
    """Returns the format of a model's thoughts; None for a model that does not think.

    `prompt`: the ids before the first step, which may open a thought.
    """
    closing = settings.closing
    if settings.start is not None and settings.end is not None:
        start, end = settings.start.strip(), settings.end.strip()
        known = next((each for each in KNOWN if each[:2] == (start, end)), None)
        spelled = {} if known is not None else dict(zip((start, end), THINK, strict=False))
        delimiters = known or ThinkDelimiters(start, end, f"\n{end}\n\n")
    else:
        found = next((each for each in KNOWN if _is_in_vocabulary(each, tokenizer)), None)
        found = found or _opened_by(tokenizer.decode(prompt[-16:], skip_special_tokens=False))
        if found is None and not settings.forced:
            return None
        delimiters, spelled = found or THINK, {}
    if closing and not closing[0].isspace():
        closing = f"\n\n{closing}"
    return ThoughtFormat(
        tokenizer,
        delimiters,
        closing + delimiters.closing,
        _single_token(delimiters.end, tokenizer),
        spelled,
        {
            token: tag
            for text, tag in spelled.items()
            if (token := _single_token(text, tokenizer)) is not None
        },
    )


def _is_in_vocabulary(delimiters: ThinkDelimiters, tokenizer: Tokenizer) -> bool:
    """Whether the tag with which the delimiters begin is one token."""
    tag = _FIRST_TOKEN.match(delimiters.start)
    return tag is not None and _single_token(tag[0], tokenizer) is not None


def _single_token(text: str, tokenizer: Tokenizer) -> int | None:
    """Returns the token of this text; None if the text has several, or the unknown
    token.
    """
    ids = tokenizer.encode(text)
    is_known = len(ids) == 1 and tokenizer.decode(ids, skip_special_tokens=False).strip() == text
    return ids[0] if is_known else None


def _opened_by(tail: str) -> ThinkDelimiters | None:
    """Returns the delimiters of the thought that is open at the end of a prompt."""
    tail = tail.rstrip()
    found = next((each for each in KNOWN if tail.endswith(each.start.rstrip())), None)
    return found if found is not None or not ends_in_think_block(tail) else THINK
