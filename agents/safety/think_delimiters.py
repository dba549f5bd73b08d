"""The delimiters of thoughts: how models that think mark where a thought begins and
ends.

This is the one definition of them. `TAG_NAMES`, `HEADER` and `BARE_HEADER` recognise
them in text, in any spelling; `agents.answers.extraction.think_blocks` and
`agents.safety.visible_text` are built on these. `KNOWN` lists the delimiters with which
a thought is opened and closed in token ids.

Source: the reasoning parsers of vLLM 0.32 and the chat templates of the models named.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TAG_NAMES: Final = r"[\w:|-]{0,20}?(?:think|thought|reasoning)[\w:-]{0,20}|reflection|scratchpad"
"""Regular expression of the names of tags and tokens around a thought."""
HEADER = (
    r"(?:<\|start\|>\w{1,20})?<\|channel\|>\s?(?:analysis|commentary|(?P<final>final))\b[^<>]{0,80}(?:<\|constrain\|>[^<>]{0,40})?<\|message\|>"
    r"|<\|channel>\s?thought\b|(?P<final_2><channel\|>)"
)
"""Regular expression of a channel header; a group matches if the channel is the user's,
none if it is thinking."""
BARE_HEADER = (
    r"\A\s*(?-i:(?:assistant)?analysis(?=[A-Z]))|(?-i:(?P<final_3>assistantfinal))(?!l?[yi])"
)
"""The same header decoded without its special tokens."""


class ThinkDelimiters(NamedTuple):
    """The texts around a thought."""

    start: str
    end: str
    closing: str
    """Text that closes a thought in the model's own format, up to the answer."""

    @property
    def opening(self) -> str:
        """Text that opens a thought; a tag stands on a line of its own."""
        return self.start if self.start.endswith(("\n", "|>", "]")) else f"{self.start}\n"


def _tags(start: str, end: str) -> ThinkDelimiters:
    return ThinkDelimiters(start, end, f"\n{end}\n\n")


THINK: Final = _tags("<think>", "</think>")
"""The most common delimiters; the canonical spelling in the texts of steps."""

KNOWN: Final = (
    # gpt-oss
    ThinkDelimiters(
        "<|channel|>analysis<|message|>",
        "<|channel|>final<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    # Command A Reasoning
    ThinkDelimiters("<|START_THINKING|>", "<|END_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ThinkDelimiters("[THINK]", "[/THINK]", "[/THINK]"),  # Magistral
    ThinkDelimiters("<|channel>thought\n", "<channel|>", "<channel|>"),  # Gemma 4
    ThinkDelimiters("◁think▷", "◁/think▷", "◁/think▷"),  # Kimi-VL
    _tags("<seed:think>", "</seed:think>"),  # Seed-OSS
    _tags("<mm:think>", "</mm:think>"),  # MiniMax M3
    _tags("<ifm|think>", "</ifm|think>"),  # K2
    _tags("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1
    THINK,  # Qwen3, DeepSeek R1, GLM, Hunyuan, Ernie, Step, Olmo, Nemotron
    _tags("<thinking>", "</thinking>"),
    _tags("<thought>", "</thought>"),
    _tags("<reasoning>", "</reasoning>"),
)
"""Known delimiters; of those that a vocabulary has, the first ones are the model's."""

MARKS: Final = (
    *(text for delimiters in KNOWN for text in delimiters[:2]),
    *("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>", "<|channel>", "<channel|>"),
)
"""Special tokens that stay in decoded text: they separate thought from answer."""
