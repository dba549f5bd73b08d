"""The extractive summary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engines.scripted import Rule, ScriptedEngine
from agents.prompts import PromptFamily, Prompts
from agents.summarizer import Summarizer, SummarizerSettings, extract_summary
from configs.schema import SummarizerConfig
from tests.settings import settings_of


def test_says_how_many_steps_and_wrong_turns() -> None:
    text = extract_summary(["25 + 7 = 32", "32 - 3 = 29"], wrong_turns=1, max_characters=200)
    assert text == "Answered in 2 steps, after 1 wrong turn taken back.\n- 25 + 7 = 32\n- 32 - 3 = 29"


def test_leaves_out_the_middle_and_says_so() -> None:
    steps = [f"step number {i}" for i in range(20)]
    text = extract_summary(steps, wrong_turns=0, max_characters=150)
    assert "- step number 0" in text and "- step number 19" in text and "more)" in text


@given(st.lists(st.text()), st.integers(0, 5), st.integers(1, 300))
def test_never_longer_than_allowed(steps: list[str], wrong_turns: int, max_characters: int) -> None:
    assert len(extract_summary(steps, wrong_turns=wrong_turns, max_characters=max_characters)) <= max_characters


def test_a_family_without_words_for_summaries_is_refused_at_once() -> None:
    engine = ScriptedEngine(script=[Rule(reply="never")])
    settings = settings_of(SummarizerSettings, SummarizerConfig(kind="model"))
    with pytest.raises(ValueError, match=r"summarizer\.kind.*\(pocket\).*summarizer\.kind=extractive"):
        Summarizer(engine, Prompts(PromptFamily("pocket"), engine.tokenizer), settings)
