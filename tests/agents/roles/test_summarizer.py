"""Summaries: the extractive one, the model's, and the neutral sentence in their
place.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engines.scripted.engine import Rule, ScriptedEngine
from agents.prompts import PromptFamily, Prompts
from agents.roles.summarizer import (
    Summarizer,
    SummarizerSettings,
    Summary,
    admit_summary,
    extract_summary,
    neutral_summary,
)
from agents.types import Budget, EngineDiedError, Hidden, Meter, Question
from configs.schema import SummarizerConfig
from tests.settings import settings_of


def test_says_how_many_steps_and_wrong_turns() -> None:
    text = extract_summary(["25 + 7 = 32", "32 - 3 = 29"], wrong_turns=1, max_characters=200)
    assert text == (
        "Answered in 2 steps, after 1 wrong turn taken back.\n- 25 + 7 = 32\n- 32 - 3 = 29"
    )


def test_leaves_out_the_middle_and_says_so() -> None:
    steps = [f"step number {i}" for i in range(20)]
    text = extract_summary(steps, wrong_turns=0, max_characters=150)
    assert "- step number 0" in text and "- step number 19" in text and "more)" in text


@given(st.lists(st.text()), st.integers(0, 5), st.integers(1, 300))
def test_never_longer_than_allowed(steps: list[str], wrong_turns: int, max_characters: int) -> None:
    assert (
        len(extract_summary(steps, wrong_turns=wrong_turns, max_characters=max_characters))
        <= max_characters
    )


def test_a_family_without_words_for_summaries_is_refused_at_once() -> None:
    engine = ScriptedEngine(script=[Rule(reply="never")])
    settings = settings_of(SummarizerSettings, SummarizerConfig(kind="model"))
    with pytest.raises(
        ValueError, match=r"summarizer\.kind.*\(pocket\).*summarizer\.kind=extractive"
    ):
        Summarizer(engine, Prompts(PromptFamily("pocket"), engine.tokenizer), settings)


STEPS = [
    "19 apples and 8 apples are 27 apples.",
    "8 baskets of 27 apples hold 216 apples, which I should check.",
]
ANSWER = "There are 216 apples in all the baskets together."
NEUTRAL = neutral_summary(len(STEPS) + 1, wrong_turns=1)


async def summarized(
    reply: str, *, budget: Budget | None = None, steps: list[str] = STEPS, **changes: object
) -> Summary:
    """Returns what a chat model's summary becomes when the model replies with
    `reply`.
    """
    engine = ScriptedEngine.from_function(lambda prompt, index, rng: reply)
    settings = settings_of(
        SummarizerSettings, SummarizerConfig(kind="model", prompts="chat"), **changes
    )
    summarizer = Summarizer(engine, Prompts(PromptFamily("chat"), engine.tokenizer), settings)
    hidden = [Hidden(step) for step in steps]
    question = Question(text="How many apples?")
    summary = await summarizer.summarize(
        question, hidden, answer=ANSWER, wrong_turns=1, meter=Meter(budget or Budget())
    )
    await engine.close()
    return admit_summary(summary, hidden, question=question.text, answer=ANSWER, neutral=NEUTRAL)


async def test_a_model_tells_it_in_its_own_words() -> None:
    summary = await summarized(
        "<think>short</think>Sums per basket were multiplied by the number of baskets.<|im_end|>"
    )
    assert summary == Summary("Sums per basket were multiplied by the number of baskets.", "model")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n\n ",
        "<think>all of it",
        "\u200b\x1b[31m",
        "\n".join(STEPS),
        "Notes: " + STEPS[1].upper(),
        "<think></think>" + STEPS[0],
        f"So: {ANSWER}",
    ],
)
async def test_a_summary_that_is_blank_or_a_repetition_is_the_neutral_sentence(reply: str) -> None:
    assert await summarized(reply) == Summary(NEUTRAL, "neutral")


async def test_without_budget_or_steps_no_model_is_asked() -> None:
    spent = Budget(max_calls=0)
    assert await summarized("never", budget=spent) == Summary(NEUTRAL, "neutral")
    assert (await summarized("never", steps=[])).source == "neutral"


async def test_a_failed_request_costs_the_summary_and_a_dead_engine_is_an_error() -> None:
    settings = settings_of(SummarizerSettings, SummarizerConfig(kind="model", prompts="chat"))
    hidden = [Hidden(step) for step in STEPS]
    for engine, dies in (
        (ScriptedEngine(script=[Rule(reply="never", match="not in the prompt")]), False),
        (_dying(), True),
    ):
        summarizer = Summarizer(engine, Prompts(PromptFamily("chat"), engine.tokenizer), settings)
        asked = summarizer.summarize(
            Question(text="How many?"), hidden, answer=ANSWER, wrong_turns=1, meter=Meter(Budget())
        )
        if dies:
            with pytest.raises(EngineDiedError):
                await asked
        else:
            assert await asked == Summary(NEUTRAL, "neutral")


def _dying() -> ScriptedEngine:
    return ScriptedEngine(function=lambda prompt, index, rng: "never", die_after=0)


def test_an_extractive_summary_is_the_steps_by_choice() -> None:
    text = extract_summary(STEPS, wrong_turns=0, max_characters=600)
    shown = admit_summary(
        Summary(text, "extractive"),
        [Hidden(step) for step in STEPS],
        question="",
        answer=ANSWER,
        neutral=NEUTRAL,
    )
    assert shown == Summary(text, "extractive")


async def test_a_long_summary_is_cut_between_words() -> None:
    summary = await summarized(
        "Sums per basket were multiplied by the number of baskets.", max_characters=41
    )
    assert summary.text == "Sums per basket were multiplied by the…"


@given(st.integers(1, 9), st.integers(0, 9))
def test_the_neutral_sentence_holds_numbers_alone(steps: int, wrong_turns: int) -> None:
    numbers = [
        int(word)
        for word in neutral_summary(steps, wrong_turns=wrong_turns).split()
        if word.isdigit()
    ]
    assert numbers == [steps, *([wrong_turns] if wrong_turns else [])]
