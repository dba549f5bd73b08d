"""A Hugging Face tokenizer behind the `Tokenizer` protocol.

transformers wraps a compiled tokenizer in Python code that is slower than the tokenizer
itself, and a search decodes every step. So `encode` and `decode` call the compiled
tokenizer directly unless the wrapper's class overrides these methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.engines.control_tokens import ControlTokens
from agents.engines.weights import hash_text
from agents.types import EngineUnavailableError

_MARK = re.compile(r"[<\[].*\w.*[>\]]", re.DOTALL)


class HFTokenizer:
    """Wraps transformers' AutoTokenizer. One thread may decode while another
    encodes.
    """

    def __init__(self, source: str | Path) -> None:
        """Loads the tokenizer of a folder or hub id.

        Raises:
            EngineUnavailableError: it cannot be loaded, or has no end-of-sequence
                token.
        """
        from transformers import AutoTokenizer

        self.source = str(source)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(self.source)
        except Exception as error:  # transformers raises a dozen unrelated types here
            reason = (
                str(error).strip().splitlines()[0][:300]
                if str(error).strip()
                else type(error).__name__
            )
            raise EngineUnavailableError(
                f"no tokenizer in {self.source!r}{_remark(self.source)} ({reason}); set "
                "engine.model or engine.tokenizer to a folder with tokenizer.json or to a hub id"
            ) from error
        if self._tokenizer.eos_token_id is None:
            raise EngineUnavailableError(
                f"the tokenizer of {self.source!r} has no end-of-sequence token; add eos_token to "
                "its tokenizer_config.json"
            )
        self.eos_token_id: int = self._tokenizer.eos_token_id
        self._compiled = _compiled(self._tokenizer)
        self.control_texts = _control_texts(self._tokenizer)
        """Texts of the control tokens; in the data of a prompt they stay ordinary
        text."""
        self._control = ControlTokens(self.control_texts)
        vocabulary = json.dumps(self._tokenizer.get_vocab(), sort_keys=True, ensure_ascii=True)
        self._vocabulary_size: int = max(self._tokenizer.get_vocab().values()) + 1
        self.hash = hash_text(f"{vocabulary} {self._tokenizer.chat_template}")
        """Hash of vocabulary and chat template, 16 hex digits."""

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return self._tokenizer.chat_template is not None

    @property
    def vocabulary_size(self) -> int:
        """Exclusive upper bound of token ids; the model's embedding may be larger."""
        return self._vocabulary_size

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Returns the token ids of `text`."""
        ids: list[int]
        if self._compiled is not None:
            ids = self._compiled.encode(text, add_special_tokens=add_special_tokens).ids
        else:
            ids = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return ids

    def encode_template(
        self, render: Callable[[Sequence[str]], str], data: Sequence[str]
    ) -> list[int]:
        """Returns the token ids of `render(data)`, in which no text of `data` is a
        control token.
        """
        return self._control.encode(render, data, self.encode)

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Returns the text of `token_ids`; whitespace is not cleaned up."""
        text: str
        if self._compiled is not None:
            text = self._compiled.decode(token_ids, skip_special_tokens=skip_special_tokens)
        else:
            text = self._tokenizer.decode(
                list(token_ids),
                skip_special_tokens=skip_special_tokens,
                clean_up_tokenization_spaces=False,
            )
        return text

    def apply_chat_template(self, messages: list[dict[str, str]]) -> list[int]:
        """Returns the prompt ids of a conversation, up to the start of the assistant's
        turn. The text of a control token in a message stays ordinary text.

        Raises:
            EngineUnavailableError: there is no chat template, or it refuses the
                conversation (some support no system role).
        """
        if not self.has_chat_template:
            raise EngineUnavailableError(
                f"{self.source!r} has no chat template; add chat_template.jinja to that folder "
                "(or chat_template to its tokenizer_config.json), or set engine.tokenizer to a "
                "folder that has one"
            )
        from jinja2 import TemplateError

        def render(contents: Sequence[str]) -> str:
            turns = [
                {**message, "content": content}
                for message, content in zip(messages, contents, strict=True)
            ]
            text: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
            return text

        try:
            return self.encode_template(render, [message["content"] for message in messages])
        except TemplateError as error:
            roles = [message["role"] for message in messages]
            raise EngineUnavailableError(
                f"the chat template of {self.source!r} refuses a conversation of {roles}: {error}"
            ) from error


def _control_texts(tokenizer: Any) -> set[str]:
    """Returns the texts of all control tokens: special tokens, and added tokens in
    brackets, which are often not marked as special.
    """
    added = tokenizer.added_tokens_decoder.values()
    return {
        token.content for token in added if token.special or _MARK.fullmatch(token.content)
    } | set(tokenizer.all_special_tokens)


def _compiled(tokenizer: Any) -> Any:
    """Returns the compiled tokenizer with the wrapper's settings; None if the wrapper's
    class overrides encoding or decoding.
    """
    from transformers import PreTrainedTokenizerFast

    general = ("encode", "_encode_plus", "decode", "_decode")
    if any(
        getattr(type(tokenizer), name, None) is not getattr(PreTrainedTokenizerFast, name)
        for name in general
    ):
        return None
    compiled = tokenizer.backend_tokenizer
    compiled.no_truncation()
    compiled.no_padding()
    compiled.encode_special_tokens = tokenizer.split_special_tokens
    return compiled


def eos_token_ids(tokenizer: HFTokenizer, folder: Path | None) -> frozenset[int]:
    """Returns the ids of all end-of-sequence tokens: the tokenizer's, and those in the
    folder's generation_config.json.
    """
    ids = {tokenizer.eos_token_id}
    if folder is not None and (file := folder / "generation_config.json").is_file():
        named = json.loads(file.read_text()).get("eos_token_id") or []
        ids |= set(named) if isinstance(named, list) else {named}
    return frozenset(ids)


def _remark(source: str) -> str:
    """Returns a remark for an error if `source` is no local model folder, else ""."""
    folder = Path(source)
    if not folder.is_dir():
        return f", which is not a folder (relative to {Path.cwd()})"
    return "" if (folder / "config.json").is_file() else ", a folder without config.json"
