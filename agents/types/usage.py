"""What a thought costs, counted by role."""

from __future__ import annotations

from dataclasses import dataclass, field

ROLES = ("policy", "critic", "heads", "reflector", "summarizer", "safety")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more engine calls. Counts are the engine's own, not re-tokenised
    text.
    """

    prompt_tokens: int = 0
    """Tokens of prompts, each as often as samples were drawn from it."""
    cached_prompt_tokens: int = 0
    """The part of them that the engine did not compute, because it was in its prefix
    cache or another sample had just computed it."""
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
    """A counter for each role; the only place where the cost of a question is added
    up.
    """

    roles: dict[str, Usage] = field(default_factory=dict)

    def add(self, role: str, usage: Usage) -> None:
        """Adds what one call of `role` cost."""
        self.roles[role] = self.roles.get(role, Usage()) + usage

    @property
    def total(self) -> Usage:
        """What all roles cost together."""
        return sum(self.roles.values(), Usage())
