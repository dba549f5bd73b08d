"""The base of critics that ask a language model: verdict labels, calibration, and the
reason for a verdict of wrong.

Questions and steps may imitate a verdict. So the token critic reads only the
probabilities of its two labels, and the working critic only the last line of its reply,
in a fixed form ("Verdict: Yes"). An instruction in a question can still persuade the
model.

Sources: GenRM (arXiv:2408.15240); GenPRM (arXiv:2504.00891) for a working before the
verdict. We judge one step at a time, given the steps before it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from agents.answers import without_think_blocks
from agents.critics.base import ScopeOf, always_local, make_verdict
from agents.critics.calibration import Calibration, PlattScaling
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.engines.metered import generate_within
from agents.prompts import Prompts
from agents.types import Hidden, Meter, Question, Step, Verdict, VerdictSource

ROLE = "critic"


@dataclass(frozen=True, slots=True)
class CriticSettings:
    """Options of the same names in the config group `critic`."""

    max_tokens: int
    reason: bool
    reject_below: float


class Judgement(NamedTuple):
    """A model's opinion of a step, before calibration."""

    probability: float
    """Probability that the step is right, in [0, 1]; NaN if the output has no
    verdict."""
    sureness: float = 1.0
    """Probability of the working, in [0, 1], if the verdict is one token; otherwise
    1."""
    text: str = ""
    """The working, without the verdict."""

    def __repr__(self) -> str:
        return f"Judgement(probability={self.probability}, sureness={self.sureness}, text=<hidden>)"


class GenerativeCritic(ABC):
    """A critic that reads its verdicts from the output of one engine."""

    source: ClassVar[VerdictSource]
    """The source of the verdicts."""

    def __init__(
        self,
        engine: Generator,
        prompts: Prompts,
        settings: CriticSettings,
        *,
        calibration: Calibration | None = None,
        family_of: Callable[[str], str | None] = lambda text: None,
        scope_of: ScopeOf = always_local,
    ) -> None:
        self.engine = engine
        self.prompts = prompts
        self.settings = settings
        self.calibration = calibration or Calibration()
        self.family_of = family_of
        self.scope_of = scope_of
        if settings.reason and not prompts.family.has("critic_reason"):
            raise ValueError(
                "critic.reason (true) needs a template critic_reason, and critic.prompts "
                f"({prompts.family.name}) has none; "
                "set critic.reason=false, or critic.prompts=chat with a chat model"
            )
        self._labels = tuple(
            tuple(engine.tokenizer.encode(label))
            for label in (prompts.family.right, prompts.family.wrong)
        )
        """Token ids of the labels of right and wrong."""
        self._right, self._wrong = (label[0] for label in self._labels)
        self.check_labels()

    def check_labels(self) -> None:
        """Checks that the critic can tell the two labels apart.

        Raises:
            ValueError: it cannot.
        """
        return

    @abstractmethod
    async def ask(
        self, question: Question, steps: Sequence[Step], meter: Meter
    ) -> Judgement | None:
        """Returns the model's opinion of the last of `steps`; None if the budget or the
        context leaves no room.
        """

    def is_forged(self, evidence: float, question: Question, steps: Sequence[Step]) -> bool:
        """Whether a verdict with this evidence may repeat a label from the question or
        the steps.
        """
        return False

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps`; None if the budget or the context
        leaves no room for it.

        An output without a readable verdict gives `outcome="unparsed"`, never a number.
        """
        judged = await self.ask(question, steps, meter)
        if judged is None:
            return None
        probability, sureness, text = judged
        scaling = self.calibration.scaling(self.family_of(question.text))
        evidence = (scaling or PlattScaling()).log_likelihood_ratio(probability, sureness)
        if self.is_forged(evidence, question, steps):
            probability = evidence = math.nan
        verdict = make_verdict(
            probability,
            evidence,
            source=self.source,
            scope=self.scope_of(question.text),
            # a continuation family is trained to judge: its log-odds are evidence
            is_calibrated=scaling is not None or self.prompts.family.style == "continuation",
            wrong_below=0.0 if scaling is None else scaling.wrong_below(self.settings.reject_below),
        )
        if self.settings.reason and not text and verdict.is_wrong:
            text = await self._ask_reason(question, steps, meter)
        return replace(verdict, reason=Hidden(text)) if text else verdict

    async def _ask_reason(self, question: Question, steps: Sequence[Step], meter: Meter) -> str:
        completion = await self.write("critic_reason", question, steps, meter)
        return "" if completion is None else without_think_blocks(completion.text).strip()

    async def write(
        self,
        template: str,
        question: Question,
        steps: Sequence[Step],
        meter: Meter,
        *,
        stop_token_ids: tuple[int, ...] = (),
    ) -> Completion | None:
        """Returns the greedy completion of a template; None if the budget or the
        context leaves no room.
        """
        request = GenerateRequest(
            prompt=self.prompts.role(template, question, steps),
            max_tokens=self.settings.max_tokens,
            temperature=0.0,
            stop_token_ids=stop_token_ids,
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        return None if isinstance(generation, str) else generation.completions[0]
