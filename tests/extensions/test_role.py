"""A role of one's own: a translator in front of the graph, on the scripted engine."""

from __future__ import annotations

import pytest

from agents.engines.scripted.engine import Rule, ScriptedEngine
from agents.types import Budget, Meter, Question
from configs import compose
from graphs.reasoner.graph import think
from graphs.reasoner.resources import forget, open_resources, register
from tests.extensions import own_role

ASKED = Question(text="Quanto fa (19 + 8) * 8?\nEnglish: 1 + 1?", gold="216", task="pocket")
ENGLISH = "Calculate (19 + 8) * 8."


async def translate(reply: str, budget: Budget | None = None) -> tuple[Question | None, Meter]:
    engine = ScriptedEngine(script=[Rule(reply=reply, match=ASKED.text)])
    meter = Meter(budget or Budget())
    return await own_role.Translator(engine).translate(ASKED, meter=meter), meter


async def test_a_translated_question_is_answered_and_its_cost_is_booked() -> None:
    english, meter = await translate(f"It is Italian.\nEnglish: {ENGLISH}")
    assert english == ASKED.model_copy(update={"text": ENGLISH})
    assert meter.spent.roles["translator"].calls == 1
    config = compose(["engine=scripted", "engine.function=tests.scripted_pocket:Pocket"])
    async with open_resources(config) as resources:
        register("translated", resources)
        answer = await think(english, "translated")
        forget("translated")
    assert (answer.status, answer.answer) == ("answered", "216")


@pytest.mark.parametrize(
    "reply",
    ["", "I cannot.", "<think>English: 2 + 2?</think>", "English: 1 + 1?"],
)
async def test_a_reply_without_a_translation_is_none(reply: str) -> None:
    english, _ = await translate(reply)
    assert english is None


async def test_an_exhausted_budget_asks_nothing() -> None:
    english, meter = await translate("English: never", Budget(max_tokens=0))
    assert english is None and meter.spent.total.calls == 0
