"""A conversation in Python: questions that follow each other.

with Reasoner(experiment="chat", model="FOLDER_OR_HUB_ID") as reasoner:
    chat = reasoner.conversation()
    chat.ask("Why is the sky blue?")
    chat.ask("And at sunset?")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.types import Turn
from graphs.reasoner.conversation.messages import FORGOTTEN
from graphs.reasoner.graph import Answer, Progress

if TYPE_CHECKING:
    from graphs.reasoner.reasoner import Reasoner


class Conversation:
    """Keeps the visible turns, and passes them with the next question.

    A question that fails, is refused or lies outside of the model's domain is not
    remembered. One without an answer is.
    """

    def __init__(self, reasoner: Reasoner) -> None:
        self._reasoner = reasoner
        self.turns: tuple[Turn, ...] = ()
        """The turns so far, oldest first."""

    def ask(
        self, question: str, *, on_progress: Callable[[Progress], None] | None = None
    ) -> Answer:
        """Thinks about the next question; see `Reasoner.ask`."""
        answer = self._reasoner.ask(question, history=self.turns, on_progress=on_progress)
        return self._remembered(question, answer)

    async def aask(
        self, question: str, *, on_progress: Callable[[Progress], None] | None = None
    ) -> Answer:
        """`ask` for an event loop."""
        answer = await self._reasoner.aask(question, history=self.turns, on_progress=on_progress)
        return self._remembered(question, answer)

    def forget(self) -> None:
        """Begins a new conversation."""
        self.turns = ()

    def _remembered(self, question: str, answer: Answer) -> Answer:
        if answer.status not in FORGOTTEN:
            self.turns = (*self.turns, Turn(role="user", text=question), answer.turn)
        return answer
