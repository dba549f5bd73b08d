"""The summarizer: describes to the user how the answer was found, without showing the
thought.

It is the only component that reads the hidden thought and writes text for the user.
`model` asks a chat model for a summary in its own words; if the model returns none or
repeats the thought, the summary is the neutral sentence, which contains only numbers.
`extractive` needs no model: it lists the steps that led to the answer, without mark-up,
wrong turns or reflections, shortened to a limit. It shows steps verbatim, so it must be
configured (as for the pocket, whose steps are calculations) and is never a fallback.

Source: OpenAI o1 system card (2024): the summary, not the chain of thought, is what
users see.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.engines.base import GenerateRequest, Generator
from agents.engines.metered import generate_within
from agents.prompts import Prompts
from agents.safety.visible_text import repeats, visible_text
from agents.types import EngineDiedError, EngineError, Hidden, Meter, Question

ROLE = "summarizer"

SummarySource = Literal["extractive", "model", "neutral", "none"]
"""`extractive`: the steps themselves. `model`: text of a model. `neutral`: numbers
alone, as configured, or because the model's summary was blank, failed, exceeded the
budget or repeated the thought. `none`: nothing to summarize, since there is no answer,
or the whole thought is the answer; the text may be empty."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SummarizerSettings:
    """Kind and length of a summary; see the config group `summarizer` for each
    field.
    """

    kind: Literal["extractive", "model", "neutral"]
    max_characters: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of the thought for the user."""

    text: str
    source: SummarySource


def neutral_summary(steps: int, *, wrong_turns: int) -> str:
    """Returns a sentence that reveals only the length of the thought; `steps` includes
    the concluding step. It is English whatever the question's language; a front end
    that speaks another one recognises it by `SummarySource`.
    """
    taken_back = (
        ""
        if wrong_turns == 0
        else (f"; {wrong_turns} {'was' if wrong_turns == 1 else 'were'} taken back")
    )
    return f"The answer was found in {steps} step{'' if steps == 1 else 's'}{taken_back}."


def admit_summary(
    summary: Summary,
    thought: Iterable[Hidden[str]],
    *,
    question: str,
    answer: str | None,
    neutral: str,
) -> Summary:
    """Returns the visible text of the summary, or the neutral sentence if the summary
    is blank or repeats the thought or the answer.

    An extractive summary consists of steps on purpose, so it is not compared with them.

    Args:
        thought: texts of the whole thought.
        question: parts of the thought that also occur in question or answer are not
            hidden.
        answer: a summary that mostly repeats the answer is redundant, since the user
            sees both.
        neutral: replaces a summary that is not admitted.
    """
    text = visible_text(summary.text)
    if summary.source == "none":
        return Summary(text, "none")
    if not text:
        return Summary(neutral, "neutral")
    if summary.source == "model" and (
        repeats(text, (part.reveal() for part in thought), public=(question, answer or ""))
        or repeats(text, (answer or "",))
    ):
        return Summary(neutral, "neutral")
    return Summary(text, summary.source)


def extract_summary(steps: Sequence[str], *, wrong_turns: int, max_characters: int) -> str:
    """Returns the steps of a thought, one per line, in at most `max_characters`.

    The first and the last steps are the most informative, so steps in the middle are
    omitted and replaced by their number.
    """
    turns = (
        ""
        if wrong_turns == 0
        else (f", after {wrong_turns} wrong turn{'s' if wrong_turns > 1 else ''} taken back")
    )
    head = f"Answered in {len(steps)} step{'s' if len(steps) != 1 else ''}{turns}."
    first, last = len(steps), 0
    while True:
        lines = [f"- {' '.join(step.split())}" for step in steps]
        left_out = len(steps) - first - last
        body = (
            lines
            if left_out <= 0
            else [*lines[:first], f"- ({left_out} more)", *lines[len(lines) - last :]]
        )
        text = "\n".join([head, *body])
        if len(text) <= max_characters:
            return text
        if first + last == 0:
            return text[:max_characters]
        if left_out <= 0:
            first, last = (len(steps) - 1) // 2, (len(steps) - 1) - (len(steps) - 1) // 2
        elif first >= last:
            first -= 1
        else:
            last -= 1


class Summarizer:
    """Writes the summary of a thought."""

    def __init__(
        self, engine: Generator | None, prompts: Prompts | None, settings: SummarizerSettings
    ) -> None:
        if settings.kind == "model" and (engine is None or prompts is None):
            raise ValueError(
                "summarizer.kind=model needs an engine; give summarizer.engine or set "
                "summarizer.kind=extractive"
            )
        if (
            settings.kind == "model"
            and prompts is not None
            and not prompts.family.has("summarizer")
        ):
            raise ValueError(
                "summarizer.kind (model) needs a prompt for the summary, and "
                f"summarizer.prompts ({prompts.family.name}) has none; "
                "set summarizer.kind=extractive, or summarizer.prompts=chat with a chat model"
            )
        self.engine = engine
        self.prompts = prompts
        self.settings = settings

    async def summarize(
        self,
        question: Question,
        steps: Sequence[Hidden[str]],
        *,
        answer: str | None,
        wrong_turns: int,
        meter: Meter,
        seed: int | None = None,
    ) -> Summary:
        """Returns the summary of the steps that led to `answer` (None: no answer was
        found), in at most `max_characters`.

        `steps` are the texts on the path, without mark-up and without the concluding
        step. If there are none, no model is asked; if nothing was taken back either,
        the answer is all there is, and the summary is empty.

        Raises:
            EngineDiedError: see `Generator`. After any other engine error the summary
                is the neutral sentence.
        """
        limit = self.settings.max_characters
        if answer is None:
            return Summary("No answer was found.", "none")
        if self.settings.kind == "extractive":
            texts = [step.reveal() for step in steps]
            return Summary(
                extract_summary(texts, wrong_turns=wrong_turns, max_characters=limit), "extractive"
            )
        if not steps and not wrong_turns:
            return Summary("", "none")
        if (
            self.settings.kind == "model"
            and steps
            and (text := await self._ask_model(question, steps, answer, meter, seed))
        ):
            return Summary(_shortened(text, limit), "model")
        return Summary(neutral_summary(len(steps) + 1, wrong_turns=wrong_turns), "neutral")

    async def _ask_model(
        self,
        question: Question,
        steps: Sequence[Hidden[str]],
        answer: str,
        meter: Meter,
        seed: int | None,
    ) -> str:
        """Returns the visible text of the model's summary; "" if it is empty, the
        engine failed, or the budget does not allow the request.
        """
        # checked in __init__
        assert self.engine is not None and self.prompts is not None
        thought = "\n".join(step.reveal() for step in steps)
        request = GenerateRequest(
            prompt=self.prompts.ask("summarizer", question, thought=thought, answer=answer),
            max_tokens=self.settings.max_tokens,
            temperature=0.0,
            seed=seed,
            logprobs=False,
        )
        try:
            generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
        except EngineDiedError:
            raise
        except EngineError as error:
            _log.warning(
                "the summary failed (%s); the answer is returned with the neutral summary",
                type(error).__name__,
            )
            return ""
        if isinstance(generation, str):
            return ""
        [completion] = generation.completions
        text = visible_text(completion.text)
        return f"{text} …" if text and completion.finish_reason == "length" else text


def _shortened(text: str, limit: int) -> str:
    """Returns the text, cut between words if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    return (cut.rsplit(None, 1)[0] if " " in cut else cut).rstrip() + "…"
