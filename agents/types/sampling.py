"""Sampling parameters: those of a request, and options of which some may be unset."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from agents.types.added import ADDED


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. Recorded with every step, because training needs the
    distribution that the step was sampled from.

    With `top_p`, `top_k`, `min_p` or `repetition_penalty` other than their defaults the
    recorded log-probabilities are those of the restricted distribution, which biases
    the importance ratios of training.
    """

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Share of the probability from which tokens are sampled, in (0, 1]."""
    max_tokens: int = 64
    """Longest completion, in tokens."""
    seed: int | None = None
    """A request sent alone returns the same token ids for the same seed; in a batch of
    varying composition the low bits of the logits may differ."""
    top_k: int = field(default=0, metadata=ADDED)
    """Number of most probable tokens from which a token is sampled; 0: all."""
    min_p: float = field(default=0.0, metadata=ADDED)
    """Least probability of a sampled token, as a share of the largest one, in
    [0, 1]."""
    repetition_penalty: float = field(default=1.0, metadata=ADDED)
    """Divisor of positive logits, and factor of negative ones, of tokens that occur in
    the prompt or the completion; 1: no penalty. Applies to greedy requests, too."""

    def __str__(self) -> str:
        """Returns the parameters that are not neutral; "greedy" at temperature 0."""
        named = {
            "temperature": None if self.temperature == 0 else self.temperature,
            "top_p": None if self.top_p == 1 or self.temperature == 0 else self.top_p,
            "top_k": None if self.top_k == 0 or self.temperature == 0 else self.top_k,
            "min_p": None if self.min_p == 0 or self.temperature == 0 else self.min_p,
            "repetition_penalty": None if self.repetition_penalty == 1 else self.repetition_penalty,
        }
        parts = [f"{name} {value:g}" for name, value in named.items() if value is not None]
        return ", ".join((["greedy"] if self.temperature == 0 else []) + parts)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling parameters of the same names as in `Sampling`; None: not set."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def or_else(self, other: SamplingOptions) -> SamplingOptions:
        """Returns these options, with those of `other` in place of unset ones."""
        merged = {
            option.name: getattr(other, option.name)
            if getattr(self, option.name) is None
            else getattr(self, option.name)
            for option in fields(self)
        }
        return SamplingOptions(**merged)

    def resolve(self) -> Sampling:
        """Returns the parameters, with the neutral value of each unset option."""
        named = {option.name: getattr(self, option.name) for option in fields(self)}
        return Sampling(**{name: value for name, value in named.items() if value is not None})
