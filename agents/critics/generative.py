"""The generative critic: judges the last step of a thought.

Two forms. `token`: the probability of one next token ("is this step right?"). `working`: where judging needs computing, the critic first
writes a short check and then its verdict; a one-token critic of the policy's own size is near chance exactly where it matters. Either
probability becomes evidence through a calibration that is shipped with the critic.

Source: GenRM (arXiv:2408.15240) and GenPRM (arXiv:2504.00891) for verdict-after-working. We judge one step at a time, with the steps before
it taken as they stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agents.calibration import Calibration
from agents.critics.base import ScopeOf, always_local, make_verdict
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.metered import generate_within, score_within
from agents.nouns import Meter, Question, Step, Verdict, VerdictSource
from agents.prompts import Prompts

ROLE = "critic"

_VERDICT = re.compile(r"verdict\s*[:\-]?\s*\W*(yes|no|right|wrong|correct|incorrect)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CriticSettings:
    """How the critic judges; the meaning of each is that of the config group `critic`."""

    kind: Literal["token", "working"]
    max_tokens: int
    reason: bool


class _Judged(NamedTuple):
    """What the critic said of a step."""

    probability: float
    """That the step is right; NaN where it said nothing that can be read."""
    sureness: float = 1.0
    """Probability of the working that it wrote, where the verdict is one token; else 1."""
    text: str = ""
    """The working, without the verdict."""

    def __repr__(self) -> str:
        return f"_Judged(probability={self.probability}, sureness={self.sureness}, text=<hidden>)"


class GenerativeCritic:
    """Judges steps with one engine."""

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
        labels = [engine.tokenizer.encode(label) for label in (prompts.family.right, prompts.family.wrong)]
        if settings.kind == "token" and labels[0][:1] == labels[1][:1]:
            raise ValueError(
                f"the verdict labels {prompts.family.right!r} and {prompts.family.wrong!r} begin with one token; a token critic needs two"
            )
        if settings.reason and not prompts.family.has("critic_reason"):
            raise ValueError(
                f"critic.reason (true) needs words to ask for a reason, and critic.prompts ({prompts.family.name}) has none; "
                "set critic.reason=false, or critic.prompts=chat with a chat model"
            )
        self._right, self._wrong = labels[0][0], labels[1][0]
        self._single_token_labels = len(labels[0]) == len(labels[1]) == 1 and prompts.family.style == "continuation"

    async def judge(self, question: Question, steps: Sequence[Step], *, meter: Meter) -> Verdict | None:
        """Returns the verdict on the last of `steps`; None when budget or context leave no room for judging.

        An output without a verdict is `outcome="unparsed"`: counted, never turned into a number.
        """
        settings = self.settings
        source: VerdictSource = "token_critic" if settings.kind == "token" else "working_critic"
        ask = self._ask_token if settings.kind == "token" else self._ask_working
        judged = await ask(question, steps, meter)
        if judged is None:
            return None
        probability, sureness, text = judged
        evidence = self.calibration.log_likelihood_ratio(probability, self.family_of(question.text), sureness)
        if settings.reason and not text and evidence <= 0:  # which NaN is not
            text = await self._ask_reason(question, steps, meter)
        return make_verdict(probability, evidence, source=source, scope=self.scope_of(question.text), reason=text)

    async def _ask_token(self, question: Question, steps: Sequence[Step], meter: Meter) -> _Judged | None:
        prompt = self.prompts.role("critic_token", question, steps)
        scores = await score_within(self.engine, prompt, (self._right, self._wrong), meter=meter, role=ROLE)
        if isinstance(scores, str):
            return None
        right, wrong = scores.logprobs
        if not (math.isfinite(right) or math.isfinite(wrong)):
            return _Judged(math.nan)
        return _Judged(1.0 / (1.0 + math.exp(min(wrong - right, 700.0))))

    async def _ask_working(self, question: Question, steps: Sequence[Step], meter: Meter) -> _Judged | None:
        completion = await self._write("critic_working", question, steps, meter, self.settings.max_tokens)
        if completion is None:
            return None
        if self._single_token_labels:
            verdict = completion.token_ids[-1] if completion.token_ids else None
            if verdict not in (self._right, self._wrong):
                return _Judged(math.nan, text=completion.text)
            probability = min(math.exp(completion.logprobs[-1]), 1.0)  # an engine may round above 1; NaN stays NaN
            confidence = max(probability, 0.5)  # the likeliest token of all is likelier than the other verdict
            sureness = min(math.exp(sum(completion.logprobs[:-1])), 1.0)
            return _Judged(confidence if verdict == self._right else 1.0 - confidence, sureness, completion.text)
        found = list(_VERDICT.finditer(completion.text))
        if not found:
            return _Judged(math.nan, text=completion.text)
        check = completion.text[: found[0].start()].rstrip("*#_ \n")  # without the verdict and its mark-up, a reason that can be told
        return _Judged(1.0 if found[-1].group(1).lower() in ("yes", "right", "correct") else 0.0, text=check)

    async def _ask_reason(self, question: Question, steps: Sequence[Step], meter: Meter) -> str:
        completion = await self._write("critic_reason", question, steps, meter, self.settings.max_tokens)
        return "" if completion is None else completion.text.strip()

    async def _write(self, template: str, question: Question, steps: Sequence[Step], meter: Meter, max_tokens: int) -> Completion | None:
        """Lets the critic write greedily; None when budget or context leave no room."""
        request = GenerateRequest(
            prompt=self.prompts.role(template, question, steps),
            max_tokens=max_tokens,
            temperature=0.0,
            stop_token_ids=(self._right, self._wrong) if self._single_token_labels else (),
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        return None if isinstance(generation, str) else generation.completions[0]
