"""Earlier turns of a conversation in a prompt.

The policy reads them as turns of the chat template. The other roles read a short
quotation. Neither shows a thought: a reply holds visible text only.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.safety.visible_text import visible_text
from agents.types import Turn

MOST_QUOTED = 6
"""Turns that critic, reflector and summarizer read, the latest ones."""
MOST_CHARACTERS = 400
"""Characters of a quoted turn; the rest is left out."""


def as_messages(history: Sequence[Turn]) -> list[dict[str, str]]:
    """Returns the turns as messages that every chat template accepts: user and
    assistant alternate, beginning with the user.

    Turns in a row of one speaker are joined. Replies without visible text, and a
    greeting before the first user turn, are left out.
    """
    messages: list[dict[str, str]] = []
    for turn in history:
        text = visible_text(turn.text) if turn.role == "assistant" else turn.text
        if not text.strip() or (not messages and turn.role == "assistant"):
            continue
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += f"\n\n{text}"
        else:
            messages.append({"role": turn.role, "content": text})
    return messages


def quotable(history: Sequence[Turn]) -> list[dict[str, str]]:
    """Returns the latest turns, shortened, as values of a role's template."""
    return [
        {
            "speaker": "User" if message["role"] == "user" else "Assistant",
            "text": _shortened(message["content"]),
        }
        for message in as_messages(history)[-MOST_QUOTED:]
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rstrip() + "…"
