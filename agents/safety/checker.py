"""The safety checker: applies a written specification; every decision cites one of its
rules.

Before thinking, rules that match the question are attached to the policy's prompt, so
that it can reason over them, and they decide on the question alone. After thinking,
every rule is applied to answer and summary, whatever the question. The hidden thought
is never judged: optimisation pressure on it would teach a model to hide its intent.

Rules are regular expressions on normalized text (`agents.safety.normalize`). They miss
paraphrase, other languages, ciphers and unstated harmful purposes, and they cannot
weigh context; those need a model that reads the rules. Of a conversation, the user's
latest turns are read together with the question, since a request may be spread over
them.

Source: OpenAI, deliberative alignment (arXiv:2412.16339); Reverse-o1 (2024) for "safety
after thinking, from a manual of rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agents.safety.normalize import normalize, without_leet, without_spaces

DEFAULT_RULES = Path(__file__).parent / "rules.yaml"

MOST_TURNS_BEFORE = 4
"""Earlier questions that are read together with a new one, the latest."""
MOST_CHARACTERS_BEFORE = 1000
"""Characters of each of them, the last."""

Decision = Literal["comply", "safe_completion", "refuse"]
"""`comply`: the answer is shown. `safe_completion`: the rule's reply replaces it.
`refuse`: the reply replaces it and the question counts as refused."""


class SafetyRule(BaseModel):
    """One rule of the specification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """The id that decisions cite."""
    text: str
    """The rule in words, for the policy's prompt."""
    decision: Literal["safe_completion", "refuse"]
    """The decision where the rule matches."""
    applies: tuple[str, ...] = ()
    """Patterns of questions: the rule is attached to a matching question, and its
    decision applies."""
    violated_by: tuple[str, ...] = ()
    """Patterns of answers and summaries: the decision applies to a matching output,
    whatever the question."""
    harmless: tuple[str, ...] = ()
    """Patterns removed from a text before the others are matched: "bath bomb" is not a
    bomb."""
    valid_if: Literal["any", "luhn", "not_asked"] = "any"
    """Which matches of `violated_by` count. `any`: all. `not_asked`: those whose digits
    do not occur in the question. `luhn`: those that also pass the Luhn checksum of
    payment cards."""
    reply: str
    """The text that replaces the answer."""

    @field_validator("applies", "violated_by", "harmless")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression ({error})") from None
        return patterns

    def is_about(self, question: str) -> bool:
        """Whether the question matches `applies`."""
        return any(True for _ in self._matches(self.applies, question))

    def is_violated_by(self, shown: str, question: str) -> bool:
        """Whether an output matches `violated_by` (see `valid_if`)."""
        for match in self._matches(self.violated_by, shown):
            digits = re.sub(r"\D", "", match)
            if self.valid_if != "any" and digits in re.sub(r"\D", "", normalize(question)):
                continue
            if self.valid_if != "luhn" or passes_luhn(digits):
                return True
        return False

    def _matches(self, patterns: tuple[str, ...], text: str) -> Iterator[str]:
        """Yields the matches in the normalized text and in its variants without leet
        and without blanks.
        """
        if not patterns:
            return
        plain = self._without_harmless(normalize(text))
        for view in dict.fromkeys((plain, self._without_harmless(without_leet(plain)))):
            for pattern in patterns:
                yield from (match[0] for match in _compiled(pattern).finditer(view))
        if (squeezed := without_spaces(text)) is not None:
            for pattern in patterns:
                yield from (
                    match[0] for match in _compiled(pattern, spaces=False).finditer(squeezed)
                )

    def _without_harmless(self, text: str) -> str:
        for pattern in self.harmless:
            text = _compiled(pattern).sub(" . ", text)
        return text


def passes_luhn(digits: str) -> bool:
    """Whether the checksum of a payment card number is right (ISO/IEC 7812-1,
    annex B).
    """
    doubled = (
        2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))
    )
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


_ANY_WORDS = re.compile(r"\(\?: ?\[(a-z'*)\]\+ ?\)\{0,(\d)\}\??")
"""The part of a rule's pattern that matches up to n arbitrary words."""
_LETTERS_OF_A_WORD = 10


@lru_cache(maxsize=1024)
def _compiled(pattern: str, *, spaces: bool = True) -> re.Pattern[str]:
    """Returns the compiled pattern, case ignored; without `spaces` it matches text
    whose blanks were removed.

    There, arbitrary words become one bounded run of letters: k unbounded runs in a row
    can split a text of length n in about n^k ways.
    """
    if not spaces:
        pattern = _ANY_WORDS.sub(
            lambda words: f"[{words[1]} ]{{0,{_LETTERS_OF_A_WORD * int(words[2])}}}?", pattern
        )
        pattern = pattern.replace(r"\b", "").replace(r"\s", " ").replace(" ", " ?")
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class SafetyJudgement:
    """A decision, the rule that it cites, and the reply to the user."""

    decision: Decision
    rule_id: str | None = None
    """The cited rule; None only for comply."""
    reply: str | None = None
    """Replaces answer and summary; None for comply."""


class SafetyChecker:
    """Applies a specification. Rules are tried in file order; the first match
    decides.
    """

    def __init__(self, rules: tuple[SafetyRule, ...]) -> None:
        ids = [rule.id for rule in rules]
        double = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
        if double:
            raise ValueError(
                f"safety.rules has two rules with the id {double[0]!r}; a decision must cite "
                "exactly one"
            )
        self.rules = rules
        # a question is asked about before and after thinking
        self._attached = lru_cache(maxsize=256)(self._attach)

    @classmethod
    def load(cls, path: Path) -> SafetyChecker:
        """Reads a specification.

        Raises:
            ValueError: the file is missing, is not YAML, or holds a malformed rule; the
                message names the file and the field.
        """
        try:
            content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
            rules = _expand(content["rules"], content.get("words") or {})
            return cls(tuple(SafetyRule.model_validate(rule) for rule in rules))
        except FileNotFoundError:
            raise ValueError(
                f"safety.rules ({path}) does not exist; give the path of a YAML file with a list "
                "'rules', or 'default'"
            ) from None
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ValueError(
                f"safety.rules ({path}) is not a list of rules under the key 'rules': {error}"
            ) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise ValueError(
                f"safety.rules ({path}): field {'.'.join(map(str, first['loc']))}: {first['msg']}"
            ) from None

    def attach(self, question: str, earlier: Sequence[str] = ()) -> tuple[SafetyRule, ...]:
        """Returns the rules for the policy's prompt: those that match `question`, or
        one of the `earlier` questions of the conversation, or both together.
        """
        texts = [question, *_latest(earlier), _joined(question, earlier)]
        about = {rule.id for text in texts for rule in self._attached(text)}
        return tuple(rule for rule in self.rules if rule.id in about)

    def decide(
        self, question: str, *, answer: str | None, summary: str, earlier: Sequence[str] = ()
    ) -> SafetyJudgement:
        """Returns the decision on an answer and summary before they are shown.

        A request that is spread over several turns is decided at the turn that
        completes it: a later, harmless question is not.
        """
        shown = f"{answer or ''}\n{summary}"
        about = {rule.id for rule in self._attached(question)}
        if earlier:
            before = {rule.id for rule in self._attached(_joined("", earlier))}
            joined = {rule.id for rule in self._attached(_joined(question, earlier))}
            about |= joined - before
        asked = "\n".join([*earlier, question])
        for rule in self.rules:
            if rule.id in about or rule.is_violated_by(shown, asked):
                return SafetyJudgement(rule.decision, rule.id, rule.reply)
        return SafetyJudgement("comply")

    def _attach(self, question: str) -> tuple[SafetyRule, ...]:
        return tuple(rule for rule in self.rules if rule.is_about(question))


def _latest(earlier: Sequence[str]) -> list[str]:
    """Returns the parts of earlier questions that are searched for a spread request."""
    return [text[-MOST_CHARACTERS_BEFORE:] for text in earlier[-MOST_TURNS_BEFORE:]]


def _joined(question: str, earlier: Sequence[str]) -> str:
    return " ".join([*_latest(earlier), question]).strip()


def _expand(rules: Any, words: dict[str, str]) -> Any:
    """Returns the rules with each `<<name>>` replaced by that entry of `words` as a
    group.
    """
    if isinstance(rules, str):
        for name, pattern in words.items():
            rules = rules.replace(f"<<{name}>>", f"(?:{pattern})")
        return rules
    if isinstance(rules, list):
        return [_expand(rule, words) for rule in rules]
    return (
        {key: _expand(value, words) for key, value in rules.items()}
        if isinstance(rules, dict)
        else rules
    )
