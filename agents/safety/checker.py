"""The safety-spec checker: a written specification decides, and every decision cites one of its rules.

Before thinking it attaches the rules that apply to the question, so that the policy can reason over them; after thinking it decides. It
judges question, answer and summary, never the hidden thought: pressure on the thought would only teach a model to hide.

For now a rule is applied by its patterns. That finds what is said plainly and misses paraphrase, other languages and encodings; the result
types are those of the model-judged checker to come.

Source: OpenAI, deliberative alignment (arXiv:2412.16339); Reverse-o1 (2024) for "safety after thinking, from a manual of rules".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

DEFAULT_RULES = Path(__file__).parent / "rules.yaml"

Decision = Literal["comply", "safe_completion", "refuse"]
"""`comply`: the answer stands. `safe_completion`: the rule's reply takes its place. `refuse`: as before, and the question counts as
refused."""


class SafetyRule(BaseModel):
    """One rule of the specification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """What decisions cite."""
    text: str
    """The rule in words, as the policy reads it."""
    decision: Literal["safe_completion", "refuse"]
    """What is decided when the rule holds."""
    applies: tuple[str, ...] = ()
    """Patterns of questions that the rule is about."""
    violated_by: tuple[str, ...] = ()
    """Patterns of answers or summaries that break the rule; empty: being about the question is enough."""
    reply: str
    """What the user reads instead of the answer."""

    @field_validator("applies", "violated_by")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression ({error})") from None
        return patterns

    def is_about(self, question: str) -> bool:
        """Whether the rule should be read before thinking about `question`."""
        return _found(self.applies, question)

    def decides(self, question: str, shown: str) -> bool:
        """Whether the rule decides, given the question and everything that would be shown to the user."""
        if not self.violated_by:
            return self.is_about(question)
        return (not self.applies or self.is_about(question)) and _found(self.violated_by, shown)


def _found(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class SafetyJudgement:
    """What was decided, by which rule, and what the user reads because of it."""

    decision: Decision
    rule_id: str | None = None
    """The rule that it rests on; None only for comply."""
    reply: str | None = None
    """Replaces answer and summary; None for comply."""


class SafetyChecker:
    """Applies a specification. Rules are tried in file order; the first that decides is cited."""

    def __init__(self, rules: tuple[SafetyRule, ...]) -> None:
        ids = [rule.id for rule in rules]
        double = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
        if double:
            raise ValueError(f"safety.rules has two rules with the id {double[0]!r}; a decision must cite exactly one")
        self.rules = rules

    @classmethod
    def load(cls, path: Path) -> SafetyChecker:
        """Reads a specification.

        Raises:
            ValueError: the file is missing, is no YAML, or a rule in it is malformed; names the file and the place.
        """
        try:
            content: Any = yaml.safe_load(path.read_text())
            return cls(tuple(SafetyRule.model_validate(rule) for rule in content["rules"]))
        except FileNotFoundError:
            raise ValueError(
                f"safety.rules ({path}) does not exist; give the path of a YAML file with a list 'rules', or 'default'"
            ) from None
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ValueError(f"safety.rules ({path}) is no list of rules under the key 'rules': {error}") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise ValueError(f"safety.rules ({path}): field {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def attach(self, question: str) -> tuple[SafetyRule, ...]:
        """Returns the rules that the policy should read before it thinks about `question`."""
        return tuple(rule for rule in self.rules if rule.is_about(question))

    def decide(self, question: str, *, answer: str | None, summary: str) -> SafetyJudgement:
        """Returns the decision on what is about to be shown."""
        shown = f"{answer or ''}\n{summary}"
        for rule in self.rules:
            if rule.decides(question, shown):
                return SafetyJudgement(rule.decision, rule.id, rule.reply)
        return SafetyJudgement("comply")
