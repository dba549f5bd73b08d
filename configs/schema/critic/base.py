"""What the options of critics have in common."""

from __future__ import annotations

from pydantic import Field

from agents.types import VerdictScope
from configs.schema.base import ConfigGroup, PromptFamily, TemplateOptions
from configs.schema.engine import EngineConfig


class CriticOptions(ConfigGroup):
    """Base of all critics' options, with what the rules between the groups ask about
    (configs/schema/run.py).
    """

    kind: str
    """The kind of critic; each subclass has a literal of its own."""

    @property
    def speaks(self) -> bool:
        """Whether the critic asks an engine that generates."""
        return False

    @property
    def reads_heads(self) -> bool:
        """Whether the critic asks the engine of `heads`."""
        return False

    @property
    def reads_logprobs(self) -> bool:
        """Whether the critic reads the policy's log-probabilities."""
        return False


class JudgingCritic(CriticOptions):
    """Options of a critic whose evidence a calibration can replace."""

    calibration: str | None = None
    """File that maps scores to log-likelihood ratios, written by python -m
    graphs.calibration fit; identity: the score's own log-odds; null: the critic's own
    evidence."""
    reject_below: float = Field(0.5, gt=0, lt=1)
    """A step is wrong if the probability that it is right is below this: of the
    calibrated evidence, with the calibration's share of right steps as the prior."""


class ScopedCritic(JudgingCritic):
    """Options of a critic whose verdicts have the scope of the question's family."""

    scope: VerdictScope = "local"
    """Scope of the verdicts where the question's family has none: local: is the step
    right, given the steps before it; value: can the thought still end right."""


class SpeakingCritic(ScopedCritic):
    """Options of a critic that asks a language model."""

    engine: EngineConfig | None = None
    """The critic's own engine; null: the shared one. Chosen with
    engine@critic.engine=vllm."""
    prompts: PromptFamily = "pocket"
    """Family of prompts: pocket for a model trained with the pocket's special tokens,
    chat for any model with a chat template; or a YAML file of your own."""
    chat_template_kwargs: TemplateOptions | None = None
    """Variables of the model's chat template: {enable_thinking: false}; null: none."""
    max_tokens: int = Field(24, ge=1)
    """Longest text that the critic writes, in tokens: a check with its verdict, or a
    reason."""
    calibration: str | None = "bundled"
    """File that maps scores to log-likelihood ratios, written by python -m
    graphs.calibration fit; bundled: the one that comes with the model, if any;
    identity: the score's own log-odds; null: none. Without one, the verdicts of a chat
    model rank steps and make none wrong; a model trained as a critic has identity."""
    reason: bool = False
    """Ask for a written reason after each verdict of wrong; it costs tokens and becomes
    part of the long thought."""

    @property
    def speaks(self) -> bool:
        return True
