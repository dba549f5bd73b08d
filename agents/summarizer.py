"""The summarizer: tells the user how the answer was found, without showing the thought.

It is a component of its own, the only one that sees both the question and the hidden thought and whose words reach the user.
`extractive` needs no model: it picks the steps that led to the answer, without mark-up, wrong turns or reflections, and shortens them
to a limit; that is all a model of a few million parameters can honestly do. `model` asks a chat model for a summary in its own words.

Source: OpenAI o1 system card (2024): the summary, not the chain of thought, is what users see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.engines.base import GenerateRequest, Generator
from agents.metered import generate_within
from agents.nouns import Hidden, Meter, Question
from agents.prompts import Prompts

ROLE = "summarizer"


@dataclass(frozen=True, slots=True)
class SummarizerSettings:
    """How long a summary may be; the meaning of each is that of the config group `summarizer`."""

    kind: Literal["extractive", "model"]
    max_characters: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the user reads of the thought."""

    text: str
    source: Literal["extractive", "model", "none"]
    """`none`: there was nothing to summarize, or no budget left to ask the model, and the text says only what was counted."""


def extract_summary(steps: Sequence[str], *, wrong_turns: int, max_characters: int) -> str:
    """Returns the key steps of a thought, one per line, at most `max_characters` long.

    The first and the last steps say the most, so it is the middle that is left out; the number of steps left out is said.
    """
    turns = "" if wrong_turns == 0 else f", after {wrong_turns} wrong turn{'s' if wrong_turns > 1 else ''} taken back"
    head = f"Answered in {len(steps)} step{'s' if len(steps) != 1 else ''}{turns}."
    first, last = len(steps), 0
    while True:
        lines = [f"- {' '.join(step.split())}" for step in steps]
        left_out = len(steps) - first - last
        body = lines if left_out <= 0 else [*lines[:first], f"- ({left_out} more)", *lines[len(lines) - last :]]
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

    def __init__(self, engine: Generator | None, prompts: Prompts | None, settings: SummarizerSettings) -> None:
        if settings.kind == "model" and (engine is None or prompts is None):
            raise ValueError("summarizer.kind=model needs an engine; give summarizer.engine or set summarizer.kind=extractive")
        if settings.kind == "model" and prompts is not None and not prompts.family.has("summarizer"):
            raise ValueError(
                f"summarizer.kind (model) needs words to ask for a summary, and summarizer.prompts ({prompts.family.name}) has none; "
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
        """Returns the summary of the steps that led to `answer` (None: nothing was found).

        `steps` are the texts on the path, without mark-up, the concluding one left out.
        """
        limit = self.settings.max_characters
        if answer is None:
            return Summary(f"No answer was found; {len(steps)} steps and {wrong_turns} wrong turns were tried."[:limit], "none")
        texts = [step.reveal() for step in steps]
        if self.settings.kind == "model" and self.engine is not None and self.prompts is not None:
            message = self.prompts.family.render("summarizer", question=question.text, thought="\n".join(texts), answer=answer)
            prompt = tuple(self.prompts.tokenizer.apply_chat_template([{"role": "user", "content": message}]))
            request = GenerateRequest(prompt=prompt, max_tokens=self.settings.max_tokens, temperature=0.0, seed=seed, logprobs=False)
            generation = await generate_within(self.engine, request, meter=meter, role=ROLE)
            if not isinstance(generation, str) and generation.completions[0].text.strip():
                return Summary(generation.completions[0].text.strip()[:limit], "model")
        return Summary(extract_summary(texts, wrong_turns=wrong_turns, max_characters=limit), "extractive")
