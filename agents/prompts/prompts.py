"""Prompts of the roles as token ids.

Two styles. In a `continuation` family (the pocket model) a role's prompt is the thought
plus a special token, so all roles share question and steps as one cached prefix. In a
`messages` family (any chat model) each role has a separate conversation. The policy
always continues its own token ids; its output is never tokenised again.

Questions, steps and reasons are data: their text never becomes a control token
(`Tokenizer.encode_template`) or a jinja template, and `quoted` prevents that one of
their lines has the form of a role's reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from agents.answers import opens_think_block
from agents.engines.base import Tokenizer
from agents.prompts.family import PromptFamily
from agents.prompts.history import quotable
from agents.types import Question, Step, Turn

_TOKENS_OF_A_TAG = 16


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong step that is put into the policy's prompt before a retry."""

    step: Step
    reason: str = field(default="", repr=False)
    """The reason in its verdict; empty if there is none."""


class Prompts:
    """Token ids of prompts: one family, one tokenizer, and the wording that the model
    was trained on.
    """

    def __init__(
        self,
        family: PromptFamily,
        tokenizer: Tokenizer,
        *,
        wording: Callable[[str], str] = str,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes a family and a tokenizer.

        Args:
            family: the wording of the roles.
            tokenizer: the model's tokenizer.
            wording: maps a question's text to the wording in the prompt (the pocket
                model knows one wording per task family; for other models it is the
                identity).
            template_options: variables of the chat template (`enable_thinking`).

        Raises:
            ValueError: the chat template has no such variable.
        """
        self.family = family
        self.template_options = dict(template_options or {})
        self.tokenizer = tokenizer
        self.wording = wording
        self._policy_ids = lru_cache(maxsize=4096)(self._make_policy_ids)
        self._opens_think_block = lru_cache(maxsize=4096)(self._ends_with_think_tag)
        self._constant_ids = lru_cache(maxsize=64)(self._make_constant_ids)
        self._suffix_ids = lru_cache(maxsize=64)(self._make_suffix_ids)

    def policy(
        self, question: Question, rules: tuple[tuple[str, str], ...] = ()
    ) -> tuple[int, ...]:
        """Returns the ids before the first step. `rules`: (id, text) of the safety
        rules attached to the question.
        """
        history = question.history if self.takes_history else ()
        kind = (self.takes_open_answer(question), question.is_scored)
        return self._policy_ids(question.text, rules, kind, history)

    @property
    def takes_history(self) -> bool:
        """Whether prompts contain the turns before a question. The pocket model was
        trained on single questions.
        """
        return self.family.style == "messages"

    def takes_open_answer(self, question: Question) -> bool:
        """Whether an unmarked answer is accepted (the model's last text). A scored
        question needs a marked answer, and so does one that a vote decides.
        """
        is_marked = question.is_scored or question.marks_answer
        return self.family.style == "messages" and not is_marked

    def opens_think_block(
        self, question: Question, rules: tuple[tuple[str, str], ...] = ()
    ) -> bool:
        """Whether the chat template begins the model's turn with `<think>`."""
        return self._opens_think_block(self.policy(question, rules))

    def context(
        self,
        question: Question,
        steps: Sequence[Step],
        *,
        rules: tuple[tuple[str, str], ...] = (),
        mistakes: Sequence[Mistake] = (),
        opening: str = "",
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the ids that the policy continues, and those of the new step's
        opening, with which they end.
        """
        ids = [*self.policy(question, rules)]
        for step in steps:
            ids += step.content.reveal().token_ids
        for mistake in mistakes:
            step = mistake.step
            ids += self.as_open_step(
                step.content.reveal().token_ids, is_cut=step.finish_reason == "length"
            )
            ids += self.mistake(len(steps) + 1, mistake.reason)
        opening_ids = self._constant_ids(opening) if opening else ()
        return (*ids, *opening_ids), opening_ids

    def mistake(self, step: int, reason: str) -> tuple[int, ...]:
        """Returns the ids inserted after a wrong step. `step`: its 1-based position in
        the thought.
        """
        return tuple(
            self.tokenizer.encode_template(
                lambda data: self.family.render("mistake", step=step, reason=data[0]), [reason]
            )
        )

    @cached_property
    def role_tokens(self) -> tuple[int, ...]:
        """Control tokens that the policy must not sample: role tokens, verdict tokens
        and the tokens that begin a turn.

        A policy that sampled one would continue as its own critic. Empty in a messages
        family, where roles exchange text only.
        """
        if self.family.style == "messages":
            return ()
        texts = [
            self.family.render(template)
            for template in self.family.templates
            if template != "mistake"  # the policy itself continues it
        ]
        ids = [
            token
            for text in (*texts, self.family.right, self.family.wrong)
            for token in self.tokenizer.encode(text)
        ]
        ids += self.chat([{"role": "user", "content": ""}])
        control = {
            token
            for token in ids
            if token != self.tokenizer.eos_token_id and not self.tokenizer.decode([token])
        }
        return tuple(sorted(control))

    def as_open_step(self, token_ids: Sequence[int], *, is_cut: bool = False) -> tuple[int, ...]:
        """Returns the ids of a step with a final end-of-sequence token replaced by the
        separator, so that the thought can continue. A step that was cut gets one, too.

        Used for wrong steps in the prompt of a retry and in training data.
        """
        if is_cut:
            return (*token_ids, *self._constant_ids(self.family.separator))
        if token_ids[-1] != self.tokenizer.eos_token_id:
            return tuple(token_ids)
        return (*token_ids[:-1], *self._constant_ids(self.family.separator))

    def role(self, template: str, question: Question, steps: Sequence[Step]) -> tuple[int, ...]:
        """Returns the prompt of a critic or a reflector."""
        if self.family.style == "continuation":
            ids, _ = self.context(question, steps)
            if ids[-1] == self.tokenizer.eos_token_id:
                ids = ids[:-1]
            return ids + self._suffix_ids(template)
        texts = [step.content.reveal().text for step in steps]
        return self.ask(template, question, steps=texts)

    def ask(self, template: str, question: Question, **variables: Any) -> tuple[int, ...]:
        """Returns the prompt of a role that has a conversation of its own. It begins
        with a quotation of the turns before the question.
        """
        message = self.family.render(template, question=question.text, **variables)
        turns = quotable(question.history)
        if turns and self.family.has("conversation"):
            message = f"{self.family.render('conversation', history=turns)}\n\n{message}"
        return self.chat([{"role": "user", "content": message}])

    def chat(self, messages: list[dict[str, str]]) -> tuple[int, ...]:
        """Returns the ids of a conversation, up to the start of the assistant's
        turn.
        """
        if not self.template_options:
            return tuple(self.tokenizer.apply_chat_template(messages))
        return tuple(self.tokenizer.apply_chat_template(messages, self.template_options))

    def _make_constant_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text))

    def _make_suffix_ids(self, template: str) -> tuple[int, ...]:
        return self._make_constant_ids(self.family.render(template))

    def _ends_with_think_tag(self, token_ids: tuple[int, ...]) -> bool:
        return opens_think_block(
            self.tokenizer.decode(token_ids[-_TOKENS_OF_A_TAG:], skip_special_tokens=False)
        )

    def _make_policy_ids(
        self,
        text: str,
        rules: tuple[tuple[str, str], ...],
        kind: tuple[bool, bool],
        history: tuple[Turn, ...],
    ) -> tuple[int, ...]:
        is_open, is_scored = kind
        return self.chat(
            self.family.conversation(
                self.wording(text),
                is_open=is_open,
                is_scored=is_scored,
                rules=rules,
                history=history,
            )
        )
