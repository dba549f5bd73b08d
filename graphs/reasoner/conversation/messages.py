"""Conversations in LangGraph's form: the channel `messages`, read as turns and written
after an answer.

A message that the graph writes holds visible text only; what a caller's messages hold
beside it is left out of prompts (agents/prompts/history.py). A reply that a rule
refused, or that lies outside of the model's domain, is marked with its status, and is
no turn of the next question's history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage

from agents.types import Question, Turn
from graphs.tree import Status

MOST_MESSAGES = 256
"""Messages that are read, the latest ones."""
MOST_BYTES = 1 << 18
"""Bytes of their texts; older messages are left out."""
NO_ANSWER = "I found no answer."
"""The assistant's turn where a thought had no answer."""
FORGOTTEN: frozenset[Status] = frozenset({"refused", "out_of_domain"})
"""Statuses of replies that are not remembered."""

_STATUS = "status"
_TEXT = ("text", "input_text", "output_text")
"""Types of message parts that are read."""
_HIDDEN = ("thinking", "reasoning", "redacted_thinking", "tool_use", "tool_call")
"""Types of parts of a reply that are not shown again."""


def reply(status: Status, answer: str | None, summary: str) -> str:
    """Returns the assistant's visible turn: the answer, the message that replaces it,
    or the sentence that there is none.
    """
    if answer is not None:
        return answer
    return summary if status == "out_of_domain" else NO_ANSWER


def question_in(messages: Sequence[BaseMessage]) -> str | None:
    """Returns the text of the last message if it is the user's, else None.

    Raises:
        ValueError: the message has parts that are not text.
    """
    return _text(messages[-1]) if messages and isinstance(messages[-1], HumanMessage) else None


def turns_of(messages: Sequence[BaseMessage]) -> tuple[tuple[Turn, ...], int]:
    """Returns the turns of a conversation, and the number of messages at its beginning
    that exceed `MOST_MESSAGES` or `MOST_BYTES`.

    Raises:
        ValueError: a message is neither the user's nor the assistant's, or has parts
            that are not text.
    """
    turns: list[Turn] = []
    size, left_out = 0, max(0, len(messages) - MOST_MESSAGES)
    skips_question = False
    for index in range(len(messages) - 1, left_out - 1, -1):
        message = messages[index]
        if not isinstance(message, HumanMessage | AIMessage):
            raise ValueError(
                f"messages holds a {ascii(message.type)[:40]} message, and a conversation has "
                "human and ai messages only; leave it out (policy.prompts holds the system message)"
            )
        text = _text(message)
        is_user = isinstance(message, HumanMessage)
        size += len(text.encode(errors="replace"))
        if size > MOST_BYTES:
            left_out = index + 1
            break
        if is_user and skips_question:
            skips_question = False
        elif not is_user and message.response_metadata.get(_STATUS) in FORGOTTEN:
            skips_question = True
        elif text.strip():
            turns.append(Turn(role="user" if is_user else "assistant", text=text))
    return tuple(reversed(turns)), left_out


def exchange(question: Question, said: str, status: Status, before: Sequence[BaseMessage]) -> Any:
    """Returns the messages to append to `before` after an answer: the question, unless
    it is the last of them, and the reply.

    Where they end with another attempt at the question, its reply is replaced.
    """
    answered = AIMessage(said, response_metadata={_STATUS: status})
    if question_in(before[-1:]) is not None:
        return [answered]
    if attempt := earlier_attempt(question.text, before):
        answered.id = attempt.id
        return [answered]
    return [HumanMessage(question.text), answered]


def earlier_attempt(question: str, messages: Sequence[BaseMessage]) -> BaseMessage | None:
    """Returns the reply with which the messages end, if it answers the same question;
    else None.
    """
    if len(messages) < 2 or not isinstance(messages[-1], AIMessage):
        return None
    return messages[-1] if question_in(messages[-2:-1]) == question else None


def as_messages(turns: Sequence[Turn]) -> list[AnyMessage]:
    """Returns turns as messages."""
    return [
        HumanMessage(turn.text) if turn.role == "user" else AIMessage(turn.text) for turn in turns
    ]


def _text(message: BaseMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
        if isinstance(part, str):
            texts.append(part)
        elif kind in _TEXT and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif not (isinstance(message, AIMessage) and kind in _HIDDEN):
            raise ValueError(
                f"messages holds a part of type {ascii(kind)[:40]}, and the model reads text only; "
                "leave it out, or describe it in words"
            )
    return "\n".join(texts)
