"""The chat policy with models of public architectures: presets compose, questions are
answered, and no mark of a template reaches the user.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.types import Question
from configs import compose
from graphs import Reasoner
from graphs.reasoner.resources import open_resources
from tests.model_families import FAMILIES, make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A tiny random model of the family."""
    return make_model(name, tmp_path_factory.mktemp(name))


def words(folder: Path, *more: str) -> list[str]:
    return [
        "experiment=chat",
        "engine=transformers",
        f"engine.model={folder}",
        "policy.max_step_tokens=8",
        "policy.max_answer_tokens=24",
        "critic.max_tokens=8",
        "summarizer.max_tokens=8",
        "reflector.max_tokens=8",
        *more,
    ]


@pytest.mark.parametrize(
    "search",
    [
        "greedy",
        *(
            pytest.param(search, marks=pytest.mark.slow)
            for search in ("self_consistency", "critique_loop", "beam", "posterior")
        ),
    ],
)
@pytest.mark.parametrize("name", FAMILIES, scope="module")
def test_every_family_answers_or_says_why_not(name: str, folder: Path, search: str) -> None:
    marks = (*FAMILIES[name].special, *FAMILIES[name].plain)
    with Reasoner(words(folder, f"search={search}", "budget=low")) as reasoner:
        answer = reasoner.ask("Why is the sky blue?")
    assert answer.status in ("answered", "no_answer")
    shown = f"{answer.answer or ''} {answer.summary}"
    assert not any(mark in shown for mark in marks)


@pytest.mark.parametrize("name", FAMILIES, scope="module")
async def test_a_familys_own_sampling_is_used(name: str, folder: Path) -> None:
    async with open_resources(compose(words(folder))) as resources:
        own = FAMILIES[name].generation
        sampling = resources.policy.settings.sampling
        for option in ("temperature", "top_p", "top_k"):
            if option in own:
                assert getattr(sampling, option) == own[option]
        prompt = resources.policy.prompts.policy(Question(text="Why is the sky blue?"))
        text = resources.engine.tokenizer.decode(prompt, skip_special_tokens=False)
        assert "Why is the sky blue?" in text


@pytest.mark.parametrize("name", ["qwen3"], scope="module")
async def test_the_thinking_switch_of_a_template_is_an_option(name: str, folder: Path) -> None:
    switched = compose(words(folder, "policy.chat_template_kwargs={enable_thinking: false}"))
    async with open_resources(switched) as resources:
        prompt = resources.policy.prompts.policy(Question(text="Why?"))
        text = resources.engine.tokenizer.decode(prompt, skip_special_tokens=False)
        assert text.endswith("</think>\n\n")
