"""The generative critic: judges the last step of a thought.

Two forms. `token`: the probability of one next token ("is this step right?").
`working`: where judging needs computing, the critic first writes a short check and then
its verdict; a one-token critic of the policy's own size is near chance exactly where it
matters. Either probability becomes evidence through a calibration that is shipped with
the critic.

Questions and steps may imitate a verdict. So the token critic reads the probabilities
of its two labels alone, and of a working in words only the last line is a verdict, in a
form of its own ("Verdict: Yes"). A quoted verdict, one that goes on ("Verdict: Right up
to the sign, so No"), one that the question or the steps spell out, and the last line of
a working that was cut are none. The token critic gives no verdict whose label ends a
line of the question or of a step: that line may be an order or a forged reply, and
small models follow it. The cost: "So the answer is yes." can be judged wrong, but not
right. An order that names no label can still persuade a model.

Source: GenRM (arXiv:2408.15240) and GenPRM (arXiv:2504.00891) for
verdict-after-working. We judge one step at a time, with the steps before it taken as
they stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agents.answers import without_think_blocks
from agents.critics.base import ScopeOf, always_local, make_verdict, texts_of
from agents.critics.calibration import Calibration
from agents.engines.base import Completion, GenerateRequest, Generator
from agents.engines.metered import generate_within, score_within
from agents.prompts import Prompts
from agents.prompts.last_line import ENDINGS, ends_a_line, is_shown, last_line
from agents.types import Meter, Question, Step, Verdict, VerdictSource

ROLE = "critic"

_RIGHT, _WRONG = ("yes", "right", "correct"), ("no", "wrong", "incorrect")
_WORDS = f"({'|'.join((*_RIGHT, *_WRONG))})"
_EMPHASIS = "[*_` ]{0,6}"
_VERDICT = re.compile(
    r"(?:#{1,6} "
    rf")?{_EMPHASIS}verdict{_EMPHASIS}[:-]{_EMPHASIS}{_WORDS}{_EMPHASIS}\.?{_EMPHASIS}{ENDINGS}",
    re.IGNORECASE | re.ASCII,
)
_MENTION = re.compile(rf"verdict\s{{0,4}}[:\-]?\W{{0,8}}{_WORDS}\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CriticSettings:
    """How the critic judges; the meaning of each is that of the config group
    `critic`.
    """

    kind: Literal["token", "working"]
    max_tokens: int
    reason: bool


class _Reply(NamedTuple):
    """What the critic said of a step."""

    probability: float
    """That the step is right; NaN where it said nothing that can be read."""
    sureness: float = 1.0
    """Probability of the working that it wrote, where the verdict is one token; else
    1."""
    text: str = ""
    """The working, without the verdict."""

    def __repr__(self) -> str:
        return f"_Reply(probability={self.probability}, sureness={self.sureness}, text=<hidden>)"


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
        labels = [
            engine.tokenizer.encode(label) for label in (prompts.family.right, prompts.family.wrong)
        ]
        if settings.kind == "token" and labels[0][:1] == labels[1][:1]:
            raise ValueError(
                f"the verdict labels {prompts.family.right!r} and {prompts.family.wrong!r} begin "
                "with one token; a token critic needs two"
            )
        if settings.reason and not prompts.family.has("critic_reason"):
            raise ValueError(
                "critic.reason (true) needs words to ask for a reason, and critic.prompts "
                f"({prompts.family.name}) has none; "
                "set critic.reason=false, or critic.prompts=chat with a chat model"
            )
        self._right, self._wrong = labels[0][0], labels[1][0]
        self._single_token_labels = (
            len(labels[0]) == len(labels[1]) == 1 and prompts.family.style == "continuation"
        )

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps`; None when budget or context leave
        no room for judging.

        An output without a verdict is `outcome="unparsed"`: counted, never turned into
        a number.
        """
        settings = self.settings
        source: VerdictSource = "token_critic" if settings.kind == "token" else "working_critic"
        ask = self._ask_token if settings.kind == "token" else self._ask_working
        judged = await ask(question, steps, meter)
        if judged is None:
            return None
        probability, sureness, text = judged
        evidence = self.calibration.log_likelihood_ratio(
            probability, self.family_of(question.text), sureness
        )
        if settings.kind == "token" and self._is_spelled_out(evidence, question, steps):
            probability = evidence = math.nan
        if settings.reason and not text and evidence <= 0:  # which NaN is not
            text = await self._ask_reason(question, steps, meter)
        return make_verdict(
            probability, evidence, source=source, scope=self.scope_of(question.text), reason=text
        )

    def _is_spelled_out(self, evidence: float, question: Question, steps: Sequence[Step]) -> bool:
        """Whether question or steps spell out the label that `evidence` speaks for."""
        family = self.prompts.family
        if family.style == "continuation":  # its labels are control tokens, which no text becomes
            return False
        labels = (family.right, family.wrong) if evidence > 0 else (family.wrong, family.right)
        return ends_a_line(*labels, [question.text, *texts_of(steps)])

    async def _ask_token(
        self, question: Question, steps: Sequence[Step], meter: Meter
    ) -> _Reply | None:
        prompt = self.prompts.role("critic_token", question, steps)
        scores = await score_within(
            self.engine, prompt, (self._right, self._wrong), meter=meter, role=ROLE
        )
        if isinstance(scores, str):
            return None
        right, wrong = scores.logprobs
        if not (math.isfinite(right) or math.isfinite(wrong)):
            return _Reply(math.nan)
        return _Reply(1.0 / (1.0 + math.exp(min(wrong - right, 700.0))))

    async def _ask_working(
        self, question: Question, steps: Sequence[Step], meter: Meter
    ) -> _Reply | None:
        completion = await self._write(
            "critic_working", question, steps, meter, self.settings.max_tokens
        )
        if completion is None:
            return None
        if self._single_token_labels:
            verdict = completion.token_ids[-1] if completion.token_ids else None
            if verdict not in (self._right, self._wrong):
                return _Reply(math.nan, text=completion.text)
            # an engine may round above 1; NaN stays NaN
            probability = min(math.exp(completion.logprobs[-1]), 1.0)
            # the likeliest token of all is likelier than the other verdict
            confidence = max(probability, 0.5)
            sureness = min(math.exp(sum(completion.logprobs[:-1])), 1.0)
            return _Reply(
                confidence if verdict == self._right else 1.0 - confidence,
                sureness,
                completion.text,
            )
        said = without_think_blocks(completion.text)
        verdict_line = (
            _VERDICT.fullmatch(last_line(said)) if completion.finish_reason == "stop" else None
        )
        words = (
            ()
            if verdict_line is None
            else _RIGHT
            if verdict_line.group(1).lower() in _RIGHT
            else _WRONG
        )
        shown = [question.text, *texts_of(steps)]
        if not words or any(is_shown(f"verdict {word}", shown) for word in words):
            return _Reply(math.nan, text=said.strip())
        mention = _MENTION.search(said)
        # without verdict and mark-up: a reason to tell
        check = said[: mention.start() if mention else None].rstrip("*#_` \n").lstrip()
        return _Reply(1.0 if words is _RIGHT else 0.0, text=check)

    async def _ask_reason(self, question: Question, steps: Sequence[Step], meter: Meter) -> str:
        completion = await self._write(
            "critic_reason", question, steps, meter, self.settings.max_tokens
        )
        return "" if completion is None else without_think_blocks(completion.text).strip()

    async def _write(
        self,
        template: str,
        question: Question,
        steps: Sequence[Step],
        meter: Meter,
        max_tokens: int,
    ) -> Completion | None:
        """Lets the critic write greedily; None when budget or context leave no room."""
        request = GenerateRequest(
            prompt=self.prompts.role(template, question, steps),
            max_tokens=max_tokens,
            temperature=0.0,
            stop_token_ids=(self._right, self._wrong) if self._single_token_labels else (),
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        return None if isinstance(generation, str) else generation.completions[0]
