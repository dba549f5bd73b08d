"""A tokenizer for servers that exchange text: its ids spell text exactly, in every
process, without a vocabulary.

An id is at most six bytes of one word, about as much as one token of a real model, so
the number of ids estimates the number of tokens. Ids below 256 are control ids. They
mark the turns of a conversation; no text is encoded to one, so data cannot become a
control token.

    tokenizer = TextTokenizer()
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "2 + 3?"}])
    tokenizer.read_conversation(ids + tokenizer.encode("It is"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.engines.tokenizer import without_system_message
from agents.engines.weights import hash_text

_PIECE = re.compile(r" ?[^\W\d_]+| ?\d{1,3}|\s| ?.", re.DOTALL)
_CHUNK_BYTES = 6
_FIRST_TEXT = 1 << 8
_ROLES = ("system", "user", "assistant", "tool")
_OPTIONS = "options"  # the turn that holds the options of the chat template


class Unshown(str):
    """Text that is not shown in the repr of requests, which tracebacks print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The content of a prompt."""

    messages: tuple[dict[str, str], ...]
    beginning: str
    """Text of the assistant's turn that the model continues; "" for a new turn."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the server's chat template (`enable_thinking`)."""


class TextTokenizer:
    """Converts text to ids and back, and conversations to prompts and back."""

    eos_token_id = 0
    hash = hash_text("text tokenizer 1")
    """Hash of the mapping, 16 hex digits."""
    vocabulary_size = 1 << (8 * _CHUNK_BYTES + 1)
    """Exclusive upper bound of the ids; they fit into a double."""

    def __init__(self, *, takes_system_messages: bool = True) -> None:
        """`takes_system_messages`: whether the server's chat template does; otherwise
        they are put before the first user message.
        """
        self._takes_system_messages = takes_system_messages
        self._role_ids = {role: number for number, role in enumerate((*_ROLES, _OPTIONS), start=1)}

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Returns the ids of `text`, none of which is a control id."""
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            raw = piece.encode(errors="replace")
            ids += [
                # the leading 1 keeps the number of bytes
                int.from_bytes(b"\x01" + raw[start : start + _CHUNK_BYTES])
                for start in range(0, len(raw), _CHUNK_BYTES)
            ]
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Returns the text of `token_ids`; bytes that are not UTF-8 become U+FFFD."""
        raw = bytearray()
        for token in token_ids:
            raw += self.bytes_of(token)
            if token < _FIRST_TEXT and not skip_special_tokens:
                raw += self._mark(token).encode()
        return raw.decode(errors="replace")

    @staticmethod
    def bytes_of(token: int) -> bytes:
        """Returns the UTF-8 bytes of an id; none for a control id."""
        return token.to_bytes((token.bit_length() + 7) // 8)[1:] if token >= _FIRST_TEXT else b""

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        """Returns the ids of `render(data)`, none of which is a control id."""
        return self.encode(render(data))

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Returns the ids of a conversation, up to the start of the assistant's turn.
        `options` are sent to the server, which applies its template.
        """
        if not self._takes_system_messages:
            messages = without_system_message(messages)
        turns = [(message["role"], message["content"]) for message in messages]
        if options:
            turns.insert(0, (_OPTIONS, json.dumps(dict(options), sort_keys=True)))
        ids: list[int] = []
        for role, content in turns:
            ids += [self._role_ids[role], *self.encode(content), self.eos_token_id]
        return [*ids, self._role_ids["assistant"]]

    def read_conversation(self, token_ids: Sequence[int]) -> Conversation:
        """Returns the conversation of a prompt: the ids of `apply_chat_template`, and
        those of the assistant's turn behind them.

        Raises:
            ValueError: `token_ids` do not begin with a turn.
        """
        roles = {number: role for role, number in self._role_ids.items()}
        starts = [place for place, token in enumerate(token_ids) if token in roles]
        if not starts or starts[0] != 0:
            raise ValueError(
                "a server that exchanges text takes conversations, and the prompt is none; set "
                "policy.prompts=chat and the same for the other roles (experiment=chat)"
            )
        turns = [
            {"role": roles[token_ids[start]], "content": Unshown(self.decode(token_ids[start:end]))}
            for start, end in zip(starts, [*starts[1:], len(token_ids)], strict=True)
        ]
        *messages, last = turns
        options = {}
        if messages and messages[0]["role"] == _OPTIONS:
            options = json.loads(messages.pop(0)["content"])
        return Conversation(tuple(messages), last["content"], options)

    def _mark(self, token: int) -> str:
        role = next((role for role, number in self._role_ids.items() if number == token), "end")
        return f"<|{role}|>"
