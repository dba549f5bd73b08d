"""A step: one segment of thought, as the engine wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agents.types.hidden import Hidden

ADDED = {"may_be_missing": True}
"""Metadata of a field that was added to what traces store: older ones, which lack it,
are read with its default."""

FinishReason = Literal["stop", "length"]
"""`stop`: the step ended at a stop string, a stop token or the end of the sequence.
`length`: it was cut by max_tokens, so it is no finished step, and never a finished
answer."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Recorded with every step, because training must know the
    distribution that it was drawn from.
    """

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Below 1 the recorded logprobs no longer describe the sampler: importance ratios
    in training become biased."""
    max_tokens: int = 64
    """Longest completion, in tokens."""
    seed: int | None = None
    """The same request, sent alone twice with one seed, gives the same token ids;
    inside a changing batch low bits may differ."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a step says. Always travels inside `Hidden`."""

    text: str
    """The text, mark-up removed; what a reader of the audit view sees."""
    token_ids: tuple[int, ...]
    """Token ids are the truth: a continuation is sent as ids, and text is never
    tokenised a second time."""
    logprobs: tuple[float, ...]
    """Log-probability of each token under the sampling distribution, in nats; NaN for
    the `forced` leading tokens, and for all of them where the search reads none and did
    not ask for any (`policy.logprobs`)."""
    forced: int = 0
    """How many leading tokens were put there by the controller (the opening of a
    thought factor): never trained on."""

    @property
    def logprob(self) -> float:
        """Sum of the sampled tokens' log-probabilities, in nats: the policy's own
        opinion of the step; NaN where none were asked for.
        """
        return sum(self.logprobs[self.forced :])


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a step: the role, the model behind it, the version of its weights, and
    the adapter over them.
    """

    role: str
    model: str
    version: int = 0
    """Counts publications of new weights into the engine; 0 is the model as it was
    loaded."""
    adapter: str | None = field(default=None, metadata=ADDED)
    """LoRA adapter; None: the model as it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One segment of thought."""

    content: Hidden[Content]
    finish_reason: FinishReason
    author: Author
    sampling: Sampling
    factor: str | None = None
    """Name of the thought factor that it was written under, or that it chose itself;
    None where factors are off."""
    answer: str | None = None
    """The answer that this step marks as final, in the words of the model, or None: the
    step is not the last one."""

    @property
    def is_final(self) -> bool:
        """Whether the thought ends here: a marked answer, or an end of sequence without
        one (`answer == ""`).
        """
        return self.answer is not None
