"""A step: one segment of thought, as the engine generated it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agents.types.added import ADDED
from agents.types.hidden import Hidden
from agents.types.sampling import Sampling

FinishReason = Literal["stop", "length"]
"""`stop`: the step ended at a stop string, a stop token or the end of the sequence.
`length`: max_tokens cut it, so neither the step nor an answer in it is complete."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a step, always wrapped in `Hidden`."""

    text: str
    """The text without mark-up, as the audit view shows it."""
    token_ids: tuple[int, ...]
    """The token ids that the engine sampled. Continuations are sent as ids; `text` is
    never tokenised again."""
    logprobs: tuple[float, ...]
    """Log-probability of each token under the sampling distribution, in nats; NaN for
    the `forced` leading tokens, and for all tokens if the search requested none
    (`policy.logprobs`)."""
    forced: int = 0
    """Number of leading tokens that the controller inserted (the opening of a thought
    factor); never trained on."""

    @property
    def logprob(self) -> float:
        """Sum of the sampled tokens' log-probabilities, in nats; NaN if none were
        requested.
        """
        return sum(self.logprobs[self.forced :])


@dataclass(frozen=True, slots=True)
class Author:
    """The origin of a step: role, model, version of the weights, adapter."""

    role: str
    model: str
    version: int = 0
    """Number of weight updates published to the engine; 0 is the model as loaded."""
    adapter: str | None = field(default=None, metadata=ADDED)
    """LoRA adapter; None: the base model."""


@dataclass(frozen=True, slots=True)
class Step:
    """One segment of thought."""

    content: Hidden[Content]
    finish_reason: FinishReason
    author: Author
    sampling: Sampling
    factor: str | None = None
    """Name of the step's thought factor, given by the search or chosen by the policy;
    None if factors are off."""
    answer: str | None = None
    """The final answer that this step marks, as the model wrote it; None if the step is
    not the last one."""

    @property
    def is_final(self) -> bool:
        """Whether the thought ends here: a marked answer, or an end of sequence without
        one (`answer == ""`).
        """
        return self.answer is not None
