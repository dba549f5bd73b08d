"""The reflector: after a step was judged wrong, says which one it was and what to do.

Source: O1 Replication Journey (arXiv:2410.18982): a critic model guides the policy with continue, reflect, backtrack, terminate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.engines.base import GenerateRequest, Generator
from agents.metered import generate_within
from agents.nouns import Hidden, Meter, Question, Reflection, ReflectionAction, Step
from agents.prompts import Prompts

ROLE = "reflector"

_WRONG_STEP = re.compile(r"step\s+(\d+)\s+is\s+wrong", re.IGNORECASE)
_BACKTRACK = re.compile(r"back(?:track)?\s+to\s+step\s+(\d+)", re.IGNORECASE)
_ACTION = re.compile(r"\b(continue|reflect|backtrack|terminate)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """How the reflector speaks; the meaning of each is that of the config group `reflector`."""

    kind: Literal["rules", "model"]
    max_tokens: int
    temperature: float


def parse_reflection(text: str, *, depth: int) -> Reflection:
    """Reads a reflector's words leniently; `depth` is the number of steps it looked at.

    A step number outside the thought is dropped. Words without an action become `reflect`, marked as not parsed: trying again from the
    same place is what the loop would do without a reflector.
    """
    wrong = _WRONG_STEP.search(text)
    wrong_step = int(wrong.group(1)) if wrong and 1 <= int(wrong.group(1)) <= depth else None
    back = _BACKTRACK.search(text)
    target = int(back.group(1)) if back and 0 <= int(back.group(1)) < depth else None
    if target is not None:
        return Reflection("backtrack", Hidden(text), wrong_step, target)
    action = _ACTION.search(text)
    if action is None or action.group(1).lower() == "backtrack":
        if wrong_step is not None:  # it names the mistake and no target: go back to before the mistake
            return Reflection("backtrack", Hidden(text), wrong_step, wrong_step - 1)
        return Reflection("reflect", Hidden(text), None, None, parsed=False)
    kind: ReflectionAction = action.group(1).lower()  # type: ignore[assignment]  # the pattern admits nothing else
    return Reflection(kind, Hidden(text), wrong_step)


class Reflector:
    """Looks at a wrong step with one engine, or by a fixed rule that costs nothing."""

    def __init__(self, engine: Generator, prompts: Prompts, settings: ReflectorSettings) -> None:
        self.engine = engine
        self.prompts = prompts
        self.settings = settings

    async def reflect(
        self, question: Question, steps: Sequence[Step], *, meter: Meter, exhausted: bool = False, seed: int | None = None
    ) -> Reflection:
        """Returns what to do about the last of `steps`, which was judged wrong.

        `exhausted`: the place was tried as often as is allowed, so the rule goes back one step further. The rule is also what holds when
        the budget or the context leave no room to ask the model.
        """
        rule = Reflection(
            "backtrack" if exhausted else "reflect",
            Hidden(f"Step {len(steps)} is wrong."),
            wrong_step=len(steps),
            target_step=max(0, len(steps) - 2) if exhausted else None,
        )
        if self.settings.kind == "rules":
            return rule
        request = GenerateRequest(
            prompt=self.prompts.role("reflector", question, steps),
            max_tokens=self.settings.max_tokens,
            temperature=self.settings.temperature,
            seed=seed,
            logprobs=False,
        )
        generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        return rule if isinstance(generation, str) else parse_reflection(generation.completions[0].text, depth=len(steps))
