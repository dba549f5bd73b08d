"""What a model server that exchanges text offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Continuation = Literal["none", "flag", "trailing", "prefix"]
"""How a server continues the beginning of the assistant's turn. `none`: it does not.
`flag`: `continue_final_message` (vLLM, SGLang). `trailing`: a last message of the
assistant is continued (llama.cpp, Ollama, TGI). `prefix`: that message has `prefix:
true` (DeepSeek, Mistral)."""

StopStrings = Literal["cut_here", "kept", "named"]
"""How a reply shows that a stop string ended it. `cut_here`: it does not, so none is
sent, and the engine cuts the reply. `kept`: the string ends the text. `named`:
`stop_reason` is the string."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server offers, found by requests when its engine opens."""

    continuation: Continuation = "none"
    """How the beginning of the assistant's turn is continued, exactly in text."""
    echoes: bool = False
    """Whether a reply repeats the beginning that it continues."""
    keeps_whitespace: bool = False
    """Whether white space at the end of that beginning reaches the model."""
    system_messages: bool = False
    """Whether the chat template takes a system message."""
    several: bool = False
    """Whether one request returns n completions; otherwise n requests are sent."""
    logprobs: bool = False
    """Whether replies have the log-probabilities of their tokens."""
    top_logprobs: int = 0
    """Number of alternatives whose log-probabilities a reply has for each token."""
    stop: StopStrings = "cut_here"
    """How a matched stop string is recognised."""
    seed: bool = False
    """Whether a request that is sent again with its seed has the same completion."""
    usage: bool = False
    """Whether replies count their tokens; otherwise usage is estimated from the
    text."""
    reasoning: bool = False
    """Whether replies hold the model's thought in a field of its own."""
    sampling: tuple[str, ...] = ()
    """The sampling options beyond temperature and top_p that requests carry; the server
    chooses the others."""

    @property
    def can_continue(self) -> bool:
        """Whether a thought can be continued."""
        return self.continuation != "none"
