"""The reflector: after the critic judged a step wrong, it names the wrong step and an
action.

Source: O1 Replication Journey (arXiv:2410.18982): a critic model guides the policy with
continue, reflect, backtrack, terminate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.answers import without_think_blocks
from agents.critics.base import texts_of
from agents.engines.base import GenerateRequest, Generator
from agents.engines.metered import generate_within
from agents.prompts import Prompts
from agents.prompts.last_line import ENDINGS, is_shown, last_line
from agents.types import Hidden, Meter, Question, Reflection, ReflectionAction, Step

ROLE = "reflector"

_GAP = r"[\s.,;:!*_-]{0,8}"
_NUMBER = r"0{0,8}([0-9]{1,6})(?![0-9])"  # int() refuses thousands of digits
_IS_WRONG = r"\s{1,4}(?:is|was)\s{1,4}(?:the\s{1,4}first\s{1,4})?(?:wrong|incorrect)\b"
_WRONG_STEP = re.compile(
    rf"[\s*_-]{{0,8}}(?:step\s{{1,4}}{_NUMBER}{_IS_WRONG}(?:\s{{1,4}}(?:one|step)\b)?"
    rf"|(?:the\s{{1,4}})?first\s{{1,4}}(?:wrong|incorrect)\s{{1,4}}(?:step|one)\s{{1,4}}is\s{{1,4}}(?:step\s{{1,4}})?{_NUMBER}"
    rf"|(no)\s{{1,4}}step{_IS_WRONG})",
    re.IGNORECASE,
)
_BACK = rf"back(?:track)?(?:\s{{1,4}}to\s{{1,4}}(?:step\s{{1,4}})?{_NUMBER})?"
_END = rf"[\s.!*_]{{0,8}}{ENDINGS}"
_ACTION = re.compile(rf"{_GAP}(?:(continue|reflect|terminate)|{_BACK}){_END}", re.IGNORECASE)
_ACTION_AFTER_REASON = re.compile(rf"[.;:,!]\s{{0,4}}(?:(reflect)|{_BACK}){_END}\Z", re.IGNORECASE)
_MOST_OF_AN_ACTION = 400  # characters; `_END` bounds them


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """How the reflector decides; see the config group `reflector` for each field."""

    kind: Literal["rules", "model"]
    max_tokens: int
    temperature: float


def parse_reflection(text: str, *, depth: int, shown: Sequence[str] = ()) -> Reflection:
    """Parses the last line of a reflector's reply.

    Args:
        text: the reply.
        depth: number of steps in the prompt.
        shown: texts in the prompt; a line that is quoted from one of them is no
            decision.

    The line names the wrong step ("Step 2 is wrong", "No step is wrong"), optionally
    gives a reason, and ends with the action; or it is an action alone. A step that is
    quoted above that line or in the reason has no effect. A step number outside the
    thought is ignored. A reply without a decision becomes `reflect` with parsed=False:
    the search tries again from the same node, as it would without a reflector.
    """
    visible = without_think_blocks(text)
    line = last_line(visible)
    if is_shown(line, shown):
        return Reflection("reflect", Hidden(visible), parsed=False)
    named = _WRONG_STEP.match(line)
    rest = line[named.end() :] if named else line
    action = _ACTION.fullmatch(rest)
    if named and not action:
        action = _ACTION_AFTER_REASON.search(rest[-_MOST_OF_AN_ACTION:])
    number = named and (named[1] or named[2])
    wrong_step = int(number) if number and 1 <= int(number) <= depth else None
    if action and action[2] and int(action[2]) < depth:
        return Reflection("backtrack", Hidden(visible), wrong_step, int(action[2]))
    if action and action[1]:
        # the pattern matches only these actions
        kind: ReflectionAction = action[1].lower()  # type: ignore[assignment]
        return Reflection(kind, Hidden(visible), wrong_step)
    if wrong_step is not None:  # a wrong step without a target: backtrack to the step before it
        return Reflection("backtrack", Hidden(visible), wrong_step, wrong_step - 1)
    if named and named[3] and not action:
        return Reflection("continue", Hidden(visible))
    return Reflection("reflect", Hidden(visible), parsed=False)


class Reflector:
    """Reflects on a wrong step, with one engine or by a fixed rule that costs no
    tokens.
    """

    def __init__(self, engine: Generator, prompts: Prompts, settings: ReflectorSettings) -> None:
        self.engine = engine
        self.prompts = prompts
        self.settings = settings

    async def reflect(
        self,
        question: Question,
        steps: Sequence[Step],
        *,
        meter: Meter,
        exhausted: bool = False,
        seed: int | None = None,
    ) -> Reflection:
        """Returns the reflection on the last of `steps`, which was judged wrong.

        `exhausted`: no attempts are left at its parent, so the rule backtracks one step
        further. The rule also applies if budget or context do not allow the model call.
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
        if isinstance(generation, str):
            return rule
        return parse_reflection(
            generation.completions[0].text,
            depth=len(steps),
            shown=[*question.texts, *texts_of(steps)],
        )
