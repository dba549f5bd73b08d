"""Tokens and calls of a question, counted by role."""

from __future__ import annotations

from dataclasses import dataclass, field

ROLES = ("policy", "critic", "heads", "reflector", "summarizer", "safety")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more engine calls, as counted by the engine (not re-tokenised
    text).
    """

    prompt_tokens: int = 0
    """Prompt tokens; a prompt with n samples counts n times."""
    cached_prompt_tokens: int = 0
    """The part of `prompt_tokens` that was not computed: found in the prefix cache, or
    shared with another sample of the same prompt."""
    generated_tokens: int = 0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
            self.generated_tokens + other.generated_tokens,
            self.calls + other.calls,
        )


@dataclass(slots=True)
class UsageByRole:
    """One `Usage` per role; the only place that adds up a question's cost."""

    roles: dict[str, Usage] = field(default_factory=dict)

    def add(self, role: str, usage: Usage) -> None:
        """Adds the usage of one call of `role`."""
        self.roles[role] = self.roles.get(role, Usage()) + usage

    @property
    def total(self) -> Usage:
        """The sum over all roles."""
        return sum(self.roles.values(), Usage())
