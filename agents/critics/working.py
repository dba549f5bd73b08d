"""The working critic: where judging needs computing, it first writes a short check and
then its verdict; a one-token critic of the policy's own size is near chance exactly
where it matters.

Not read as verdicts: a quoted verdict; one that continues ("Verdict: Right up to the
sign, so No"); one that also stands in the question or a step; the last line of a
truncated working.

Source: GenPRM (arXiv:2504.00891).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from agents.answers import without_think_blocks
from agents.critics.base import texts_of
from agents.critics.generative import GenerativeCritic, Judgement
from agents.engines.base import Completion
from agents.prompts.last_line import ENDINGS, is_shown, last_line
from agents.types import Meter, Question, Step

_RIGHT, _WRONG = ("yes", "right", "correct"), ("no", "wrong", "incorrect")
_WORDS = f"({'|'.join((*_RIGHT, *_WRONG))})"
_EMPHASIS = "[*_` ]{0,6}"
_VERDICT = re.compile(
    r"(?:#{1,6} "
    rf")?{_EMPHASIS}verdict{_EMPHASIS}[:-]{_EMPHASIS}{_WORDS}{_EMPHASIS}\.?{_EMPHASIS}{ENDINGS}",
    re.IGNORECASE | re.ASCII,
)
_MENTION = re.compile(rf"verdict\s{{0,4}}[:\-]?\W{{0,8}}{_WORDS}\b", re.IGNORECASE)


class WorkingCritic(GenerativeCritic):
    """Samples a working greedily. The verdict is a control token in a continuation
    family, and the last line in a family of messages.
    """

    source = "working_critic"

    async def ask(
        self, question: Question, steps: Sequence[Step], meter: Meter
    ) -> Judgement | None:
        has_tokens = self.prompts.family.style == "continuation" and all(
            len(label) == 1 for label in self._labels
        )
        completion = await self.write(
            "critic_working",
            question,
            steps,
            meter,
            stop_token_ids=(self._right, self._wrong) if has_tokens else (),
        )
        if completion is None:
            return None
        if has_tokens:
            return self._read_token(completion)
        return _read_words(completion, [*question.texts, *texts_of(steps)])

    def _read_token(self, completion: Completion) -> Judgement:
        verdict = completion.token_ids[-1] if completion.token_ids else None
        if verdict not in (self._right, self._wrong):
            return Judgement(math.nan, text=completion.text)
        # an engine may round above 1; NaN stays NaN
        probability = min(math.exp(completion.logprobs[-1]), 1.0)
        # greedy decoding preferred it to the other verdict: its share is at least 1/2
        confidence = max(probability, 0.5)
        sureness = min(math.exp(sum(completion.logprobs[:-1])), 1.0)
        return Judgement(
            confidence if verdict == self._right else 1.0 - confidence,
            sureness,
            completion.text,
        )


def _read_words(completion: Completion, shown: Sequence[str]) -> Judgement:
    """Returns the verdict in the last line; NaN if the line is no verdict, or if one of
    the texts in the prompt contains the same words.
    """
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
    if not words or any(is_shown(f"verdict {word}", shown) for word in words):
        return Judgement(math.nan, text=said.strip())
    mention = _MENTION.search(said)
    # the working without its verdict and mark-up is the reason
    check = said[: mention.start() if mention else None].rstrip("*#_` \n").lstrip()
    return Judgement(1.0 if words is _RIGHT else 0.0, text=check)
