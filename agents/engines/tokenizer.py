"""A Hugging Face tokenizer behind the `Tokenizer` protocol.

transformers wraps a compiled tokenizer in Python code that is slower than the tokenizer
itself, and a search decodes every step. So `encode` and `decode` call the compiled
tokenizer directly unless the wrapper's class overrides these methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.engines.control_tokens import ControlTokens, decode_with_marks
from agents.engines.weights import generation_config, hash_text
from agents.safety.think_delimiters import MARKS
from agents.types import EngineUnavailableError

_MARK = re.compile(r"[<\[].*\w.*[>\]]", re.DOTALL)
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")
"""Tags that transformers adds to jinja; they mark the assistant's tokens."""
_GIVEN = (
    "messages",
    "add_generation_prompt",
    "tools",
    "documents",
    "raise_exception",
    "strftime_now",
    "continue_final_message",
)
"""Variables that transformers gives to every template."""


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
        self._marks: dict[int, str] = {
            token_id: token.content
            for token_id, token in self._tokenizer.added_tokens_decoder.items()
            if token.special and token.content in MARKS and token_id != self.eos_token_id
        }
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
        """Returns the text of `token_ids`; whitespace is not cleaned up. Special tokens
        are left out, except the delimiters of thoughts.
        """
        marks = self._marks if skip_special_tokens else {}
        if marks and not marks.keys().isdisjoint(token_ids):
            return decode_with_marks(token_ids, marks, self.decode)
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

    @cached_property
    def template_options(self) -> frozenset[str]:
        """Names of the variables that the chat template reads, but for those that
        every template gets.
        """
        from jinja2 import Environment, TemplateSyntaxError, meta

        template = self._tokenizer.chat_template
        texts = template.values() if isinstance(template, dict) else [template or ""]
        environment = Environment(extensions=["jinja2.ext.loopcontrols"])
        try:
            parsed = [environment.parse(_GENERATION.sub("", text)) for text in texts]
        except TemplateSyntaxError:  # a tag of transformers' own
            return frozenset()
        names = {name for tree in parsed for name in meta.find_undeclared_variables(tree)}
        return frozenset(names - {*_GIVEN, *self._tokenizer.special_tokens_map})

    @cached_property
    def takes_system_messages(self) -> bool:
        """Whether the chat template renders a system message; some refuse or drop
        it.
        """
        from jinja2 import TemplateError

        probe = [
            {"role": "system", "content": "SYSTEM"},
            {"role": "user", "content": "USER"},
        ]
        try:
            return "SYSTEM" in self._tokenizer.apply_chat_template(probe, tokenize=False)
        except TemplateError:
            return False

    def apply_chat_template(
        self, messages: list[dict[str, str]], options: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Returns the prompt ids of a conversation, up to the start of the assistant's
        turn. The text of a control token in a message stays ordinary text.

        The content of a system message is put before the first user message if the
        template takes no system message.

        Raises:
            EngineUnavailableError: there is no chat template, or it refuses the
                conversation.
            ValueError: the template has no variable of the name of an option.
        """
        if not self.has_chat_template:
            raise EngineUnavailableError(
                f"{self.source!r} has no chat template; add chat_template.jinja to that folder "
                "(or chat_template to its tokenizer_config.json), or set engine.tokenizer to a "
                "folder that has one"
            )
        from jinja2 import TemplateError

        if unknown := sorted(set(options or ()) - self.template_options):
            known = ", ".join(sorted(self.template_options)) or "none"
            raise ValueError(
                f"chat_template_kwargs ({', '.join(unknown)}) names no variable of the chat "
                f"template of {self.source!r}, which reads: {known}; correct or remove it"
            )
        if not self.takes_system_messages:
            messages = without_system_message(messages)

        def render(contents: Sequence[str]) -> str:
            turns = [
                {**message, "content": content}
                for message, content in zip(messages, contents, strict=True)
            ]
            text: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, **(options or {})
            )
            return text

        try:
            return self.encode_template(render, [message["content"] for message in messages])
        except TemplateError as error:
            roles = [message["role"] for message in messages]
            raise EngineUnavailableError(
                f"the chat template of {self.source!r} refuses a conversation of {roles}: {error}"
            ) from error


def without_system_message(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Returns the conversation with a leading system message put before the first user
    message, separated by a blank line.
    """
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    system, first, *others = messages
    content = f"{system['content']}\n\n{first['content']}"
    return [{**first, "content": content}, *others]


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
    named = generation_config(folder).get("eos_token_id") or []
    return frozenset({tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])})


def _remark(source: str) -> str:
    """Returns a remark for an error if `source` is no local model folder, else ""."""
    folder = Path(source)
    if not folder.is_dir():
        return f", which is not a folder (relative to {Path.cwd()})"
    return "" if (folder / "config.json").is_file() else ", a folder without config.json"
