"""A role of one's own: a prompt, a parser and an engine."""

from __future__ import annotations

from agents.answers import without_think_blocks
from agents.engines import GenerateRequest, Generator
from agents.engines.metered import generate_within
from agents.prompts.last_line import is_shown, last_line
from agents.types import Meter, Question

_PROMPT = "Translate this question into English. End with a line `English: ...`.\n\nQuestion: "
_MARK = "English: "


class Translator:
    """Translates a question before it is asked."""

    def __init__(self, engine: Generator) -> None:
        self.engine = engine

    async def translate(self, question: Question, *, meter: Meter) -> Question | None:
        """Returns the question in English; None where the budget or the context leave
        no room, or the reply holds no translation.
        """
        message = {"role": "user", "content": _PROMPT + question.text}
        request = GenerateRequest(
            tuple(self.engine.tokenizer.apply_chat_template([message])),
            max_tokens=256,
            temperature=0.0,
            logprobs=False,
        )
        generation = await generate_within(self.engine, request, meter=meter, role="translator")
        if isinstance(generation, str):  # the budget or the context is exhausted
            return None
        line = last_line(without_think_blocks(generation.completions[0].text))
        if not line.startswith(_MARK) or is_shown(line, [question.text]):
            return None
        return question.model_copy(update={"text": line.removeprefix(_MARK)})
