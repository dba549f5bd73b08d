"""A tokenizer without a vocabulary file, for tests and dry runs.

A token is at most three bytes of one word, and its id encodes these bytes: encoding and
decoding are exact inverses, in every process, without state. Texts that must be one
token (chat marks, verdict words) are listed as special tokens. As with a real
tokenizer, the ids of two joined texts may differ from the joined ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agents.engines.control_tokens import ControlTokens
from agents.safety.think_delimiters import MARKS

_PIECE = re.compile(r" ?[^\W\d_]+| ?\d+|\s| ?.", re.DOTALL)
_CHUNK_BYTES = 3
_OFFSETS = {1: 0, 2: 1 << 8, 3: (1 << 8) + (1 << 16)}  # first id of the tokens of that many bytes
_FIRST_SPECIAL = (1 << 8) + (1 << 16) + (1 << 24)

END = "<|end|>"
DEFAULT_SPECIAL_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>")


class ScriptedTokenizer:
    """Converts text to ids and back. Ids fit into 32 bits; id `eos_token_id` is
    `<|end|>`.
    """

    def __init__(self, special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS) -> None:
        """`special_tokens`: texts that are one token each and omitted from decoded
        text; `<|end|>` is always one of them.
        """
        self.special_tokens = tuple(dict.fromkeys((END, *special_tokens)))
        self._special_ids = {
            token: _FIRST_SPECIAL + i for i, token in enumerate(self.special_tokens)
        }
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        self._special = re.compile(
            "(" + "|".join(re.escape(token) for token in longest_first) + ")"
        )
        self._control = ControlTokens(self.special_tokens)
        self.eos_token_id = self._special_ids[END]
        self.vocabulary_size = _FIRST_SPECIAL + len(self.special_tokens)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Returns the token ids of `text`. `add_special_tokens` has no effect, since
        there is no begin-of-sequence token.
        """
        ids: list[int] = []
        for i, part in enumerate(self._special.split(text)):
            if i % 2:  # re.split puts the separators at odd places
                ids.append(self._special_ids[part])
                continue
            for piece in _PIECE.findall(part):
                raw = piece.encode(errors="replace")
                for start in range(0, len(raw), _CHUNK_BYTES):
                    chunk = raw[start : start + _CHUNK_BYTES]
                    ids.append(_OFFSETS[len(chunk)] + int.from_bytes(chunk, "big"))
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Returns the text of `token_ids`; bytes that are not UTF-8 become U+FFFD.
        Special tokens are left out, except the delimiters of thoughts.
        """
        raw = bytearray()
        for token in token_ids:
            if token >= _FIRST_SPECIAL:
                text = self.special_tokens[token - _FIRST_SPECIAL]
                raw += b"" if skip_special_tokens and text not in MARKS else text.encode()
            else:
                size = 3 if token >= _OFFSETS[3] else 2 if token >= _OFFSETS[2] else 1
                raw += (token - _OFFSETS[size]).to_bytes(size, "big")
        return raw.decode(errors="replace")

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        """Returns the token ids of `render(data)`, in which no text of `data` is a
        control token.
        """
        return self._control.encode(render, data, self.encode)

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Returns the ids of `<|role|>content<|end|>` for each message, followed by
        `<|assistant|>`; the text of a control token in a content stays ordinary text.
        `options` have no effect.
        """

        def render(contents: Sequence[str]) -> str:
            turns = [
                f"<|{message['role']}|>{content}{END}"
                for message, content in zip(messages, contents, strict=True)
            ]
            return "".join(turns) + "<|assistant|>"

        return self.encode_template(render, [message["content"] for message in messages])
