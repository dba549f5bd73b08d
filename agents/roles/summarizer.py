"""The summarizer: tells the user how the answer was found, without showing the thought.

It is a component of its own, the only one that sees both the question and the hidden
thought and whose words reach the user. `model` asks a chat model for a summary in its
own words; where it gives none, or repeats the thought, the summary is the neutral
sentence, which holds numbers alone. `extractive` needs no model: it picks the steps
that led to the answer, without mark-up, wrong turns or reflections, and shortens them
to a limit. It shows steps word for word, so it is a choice (the pocket's, whose steps
are calculations) and never a fallback.

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
"""`extractive`: the kept steps themselves. `model`: a model's words. `neutral`: numbers
alone, by choice, or because the model's summary was blank, failed, unbudgeted or a
repetition. `none`: there is no answer to sum up."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SummarizerSettings:
    """How long a summary may be; the meaning of each is that of the config group
    `summarizer`.
    """

    kind: Literal["extractive", "model", "neutral"]
    max_characters: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the user reads of the thought."""

    text: str
    source: SummarySource


def neutral_summary(steps: int, *, wrong_turns: int) -> str:
    """Returns the sentence that says nothing of a thought but its length; `steps`
    counts the concluding one.
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
    """Returns the summary as the user may read it; the neutral sentence where it is
    blank, or repeats the thought or the answer.

    An extractive summary is the kept steps by choice, so it is not compared with them.

    Args:
        thought: texts of the whole thought.
        question: what of the thought repeats question or answer is nothing hidden.
        answer: a summary that mostly repeats it says nothing that the user does not
            read beside it.
        neutral: what takes the place of a summary that is not admitted.
    """
    text = visible_text(summary.text)
    if not text:
        return Summary(neutral, "neutral")
    if summary.source == "model" and (
        repeats(text, (part.reveal() for part in thought), public=(question, answer or ""))
        or repeats(text, (answer or "",))
    ):
        return Summary(neutral, "neutral")
    return Summary(text, summary.source)


def extract_summary(steps: Sequence[str], *, wrong_turns: int, max_characters: int) -> str:
    """Returns the key steps of a thought, one per line, at most `max_characters` long.

    The first and the last steps say the most, so it is the middle that is left out; the
    number of steps left out is said.
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
                "summarizer.kind (model) needs words to ask for a summary, and "
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
        """Returns the summary of the steps that led to `answer` (None: nothing was
        found), at most `max_characters` long.

        `steps` are the texts on the path, without mark-up, the concluding one left out.
        Without any there is nothing to sum up, and no model is asked.

        Raises:
            EngineDiedError: see `Generator`. Another failure of the engine costs the
                summary and not the answer.
        """
        limit = self.settings.max_characters
        if answer is None:
            return Summary("No answer was found.", "none")
        if self.settings.kind == "extractive":
            texts = [step.reveal() for step in steps]
            return Summary(
                extract_summary(texts, wrong_turns=wrong_turns, max_characters=limit), "extractive"
            )
        if (
            self.settings.kind == "model"
            and steps
            and (text := await self._written(question, steps, answer, meter, seed))
        ):
            return Summary(_shortened(text, limit), "model")
        return Summary(neutral_summary(len(steps) + 1, wrong_turns=wrong_turns), "neutral")

    async def _written(
        self,
        question: Question,
        steps: Sequence[Hidden[str]],
        answer: str,
        meter: Meter,
        seed: int | None,
    ) -> str:
        """Returns the visible words of the model; "" where it wrote none, failed, or
        was not asked for lack of budget.
        """
        # checked when the summarizer was made
        assert self.engine is not None and self.prompts is not None
        thought = "\n".join(step.reveal() for step in steps)
        message = self.prompts.family.render(
            "summarizer", question=question.text, thought=thought, answer=answer
        )
        prompt = tuple(
            self.prompts.tokenizer.apply_chat_template([{"role": "user", "content": message}])
        )
        request = GenerateRequest(
            prompt=prompt,
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
                "the summary failed (%s); the answer is given with the neutral one",
                type(error).__name__,
            )
            return ""
        if isinstance(generation, str):
            return ""
        [completion] = generation.completions
        text = visible_text(completion.text)
        return f"{text} …" if text and completion.finish_reason == "length" else text


def _shortened(text: str, limit: int) -> str:
    """Returns the text, cut between words where it is longer than `limit`
    characters.
    """
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    return (cut.rsplit(None, 1)[0] if " " in cut else cut).rstrip() + "…"
