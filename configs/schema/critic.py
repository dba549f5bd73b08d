"""Options of the critic: the role that judges steps."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from agents.objects import NAME
from agents.types import VerdictScope
from configs.schema.base import ConfigGroup, PromptFamily
from configs.schema.engine import EngineConfig

CriticKind = Literal[
    "none", "token", "working", "value_head", "random", "length", "logprob", "oracle", "custom"
]
"""`none`: nobody judges. `token`: the probability of one next token. `working`: a short
written check, then the verdict. `value_head`: the output of a head that was trained on
how thoughts ended. The others are controls, which need no model and spend no tokens.
`random`: noise. `length`: the shorter a step, the better. `logprob`: the policy's own
probability of the step. `oracle`: the exact truth, of which a share is flipped.
`custom`: a critic of your own."""


class CriticConfig(ConfigGroup):
    """The judge of single steps. Its engine, prompts, max_tokens, calibration and
    reason are those of kinds token and working.
    """

    kind: CriticKind = "working"
    """none: nobody judges; token: the probability of one next token; working: a short
    written check, then the verdict; value_head: the probability that the answer will be
    right, as the value head of heads.engine has it; and controls without a model:
    random: noise; length: short steps; logprob: the policy's own probability; oracle:
    the truth, for the pocket's families; custom: the class that critic.object names."""
    engine: EngineConfig | None = None
    """The critic's own engine; null: the shared one. Chosen with
    engine@critic.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens,
    chat for any model with a chat template."""
    max_tokens: int = Field(24, ge=1)
    """Longest written check of the working critic, in tokens, its verdict included."""
    calibration: str | None = "bundled"
    """File that maps scores to log-likelihood ratios; bundled: the one that comes with
    the critic; null: the score's own log-odds."""
    reason: bool = False
    """Ask for a written reason after each verdict of wrong; it costs tokens and becomes
    part of the long thought."""
    scope: VerdictScope = "local"
    """What is judged of a step where the question's family does not say: local: is it
    right, given the steps before it; value: can the thought still end right. The oracle
    and the value head have scopes of their own."""
    flip_rate: float = Field(0.0, ge=0, le=0.5)
    """Share of the oracle's verdicts that say the opposite of the truth; drawn once for
    each step from run.seed."""

    object: str | None = Field(None, pattern=NAME)
    """For kind custom: package.module:name of a class with a method `judge`
    (agents.critics.base.Critic)."""
    options: dict[str, JsonValue] | None = None
    """For kind custom: keywords that the class is made with, critic.options={limit: 3};
    null: none."""

    @property
    def speaks(self) -> bool:
        """Whether it is asked through an engine that generates."""
        return self.kind in ("token", "working")

    @model_validator(mode="after")
    def _only_a_custom_critic_is_named(self) -> Self:
        if (self.kind == "custom") == (self.object is None):
            raise ValueError(
                f"critic.object ({'null' if self.object is None else self.object}) and critic.kind "
                f"({self.kind}) go together; set critic=custom critic.object=package.module:name, "
                "or "
                "leave both out"
            )
        return self

    @model_validator(mode="after")
    def _only_the_oracle_flips(self) -> Self:
        if self.flip_rate > 0 and self.kind != "oracle":
            raise ValueError(
                f"critic.flip_rate ({self.flip_rate:g}) is for critic.kind=oracle and critic.kind "
                f"is {self.kind}; set critic.flip_rate to 0, or critic.kind to oracle"
            )
        return self
