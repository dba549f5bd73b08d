"""Prompts of the roles: one jinja template per role and prompt family, rendered to
token ids.

Two styles. In a `continuation` family (the pocket model) a role's prompt is the thought
plus a special token, so all roles share question and steps as one cached prefix. In a
`messages` family (any chat model) each role has a separate conversation. The policy
always continues its own token ids; its output is never tokenised again.

Questions, steps and reasons are data: their text never becomes a control token
(`Tokenizer.encode_template`) or a jinja template, and `quoted` prevents that one of
their lines has the form of a role's reply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agents.answers import opens_think_block
from agents.engines.base import Tokenizer
from agents.types import Question, Step

PROMPTS = Path(__file__).parent
_TOKENS_OF_A_TAG = 16
_POLICY_WRITES = ("policy", "mistake")  # templates that are rendered into the thought


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong step that is put into the policy's prompt before a retry."""

    step: Step
    reason: str = field(default="", repr=False)
    """The reason in its verdict; empty if there is none."""


def quoted(text: str) -> str:
    """Returns `text` with "> " before every line but the first, which follows words of
    the prompt ("Step 1: ").
    """
    return "\n> ".join(text.splitlines())


class PromptFamily:
    """The templates of one folder under agents/prompts."""

    def __init__(self, name: str) -> None:
        folder = PROMPTS / name
        if not (folder / "family.yaml").is_file():
            known = ", ".join(sorted(path.parent.name for path in PROMPTS.glob("*/family.yaml")))
            raise ValueError(f"prompts {name!r} is not a prompt family; choose one of: {known}")
        settings = yaml.safe_load((folder / "family.yaml").read_text())
        self.name = name
        self.style: Literal["continuation", "messages"] = settings["style"]
        self.right: str = settings["right"]
        """The critic's token for a right step."""
        self.wrong: str = settings["wrong"]
        self.separator: str = settings["separator"]
        """The text that ends a step."""
        environment = Environment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False
        )
        environment.filters["quoted"] = quoted
        self._templates = {
            path.stem: environment.get_template(path.name) for path in folder.glob("*.jinja")
        }

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the family's templates."""
        return tuple(self._templates)

    def has(self, template: str) -> bool:
        """Whether the family has such a template; the pocket family has none for
        reasons and summaries.
        """
        return template in self._templates

    def render(self, template: str, **variables: Any) -> str:
        """Returns the rendered template without the final newline of its file."""
        return self._templates[template].render(**variables)


class Prompts:
    """Token ids of prompts: one family, one tokenizer, and the wording that the model
    was trained on.

    `wording` maps a question's text to the wording in the prompt (the pocket model
    knows one wording per task family; for other models it is the identity).
    """

    def __init__(
        self, family: PromptFamily, tokenizer: Tokenizer, *, wording: Callable[[str], str] = str
    ) -> None:
        self.family = family
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
        return self._policy_ids(question.text, rules, self.takes_open_answer(question))

    def takes_open_answer(self, question: Question) -> bool:
        """Whether an unmarked answer is accepted (the model's last text). A scored
        question needs a marked answer.
        """
        return self.family.style == "messages" and not question.is_scored

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
            ids += self.as_open_step(mistake.step.content.reveal().token_ids)
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
            if template not in _POLICY_WRITES
        ]
        ids = [
            token
            for text in (*texts, self.family.right, self.family.wrong)
            for token in self.tokenizer.encode(text)
        ]
        ids += self.tokenizer.apply_chat_template([{"role": "user", "content": ""}])
        control = {
            token
            for token in ids
            if token != self.tokenizer.eos_token_id and not self.tokenizer.decode([token])
        }
        return tuple(sorted(control))

    def as_open_step(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Returns the ids of a step with a final end-of-sequence token replaced by the
        separator, so that the thought can continue.

        Used for wrong answers in the prompt of a retry and in training data.
        """
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
        message = self.family.render(template, question=question.text, steps=texts)
        return tuple(self.tokenizer.apply_chat_template([{"role": "user", "content": message}]))

    def _make_constant_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text))

    def _make_suffix_ids(self, template: str) -> tuple[int, ...]:
        return self._make_constant_ids(self.family.render(template))

    def _ends_with_think_tag(self, token_ids: tuple[int, ...]) -> bool:
        return opens_think_block(
            self.tokenizer.decode(token_ids[-_TOKENS_OF_A_TAG:], skip_special_tokens=False)
        )

    def _make_policy_ids(
        self, text: str, rules: tuple[tuple[str, str], ...], is_open: bool
    ) -> tuple[int, ...]:
        as_dicts = [{"id": rule_id, "text": rule} for rule_id, rule in rules]
        message = self.family.render(
            "policy", question=self.wording(text), rules=as_dicts, is_open=is_open
        )
        return tuple(self.tokenizer.apply_chat_template([{"role": "user", "content": message}]))
