"""Prompt families: the data of the package's own, and files of a user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.prompts import PromptFamily, Prompts
from agents.types import Question, SamplingOptions
from agents.types.prompt_name import FAMILIES

OPEN = Question(text="Why is the sky blue?")
SCORED = Question(text="What is 3 + 4?", gold="7")


def own_file(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text)
    return str(path)


def test_every_family_of_the_package_can_be_rendered() -> None:
    for name in FAMILIES:
        family = PromptFamily(name)
        for is_open in (True, False):
            messages = family.conversation("QUESTION", is_open=is_open, rules=(("R1", "RULE"),))
            assert messages[-1]["role"] == "user" and "QUESTION" in messages[-1]["content"]
            if family.style == "messages":
                assert messages[0]["role"] == "system" and "RULE" in messages[0]["content"]
        if family.style == "messages":
            steps = {"question": "Q", "steps": ["A", "B"]}
            for template in ("critic_token", "critic_working", "critic_reason", "reflector"):
                assert "Q" in family.render(template, **steps)


def test_the_chat_family_passes_an_open_question_on_unchanged() -> None:
    [message] = PromptFamily("chat").conversation(OPEN.text, is_open=True)
    assert message == {"role": "user", "content": OPEN.text}


def test_a_math_question_demands_a_box_with_and_without_a_gold() -> None:
    for is_open in (True, False):
        [message] = PromptFamily("math").conversation("1 + 1?", is_open=is_open)
        assert "\\boxed{}" in message["content"]


def test_a_file_inherits_what_it_leaves_out(tmp_path: Path) -> None:
    own = PromptFamily(
        own_file(
            tmp_path,
            "policy: {system: Be brief., few_shot: [{question: '1 + 1?', reply: It is 2.}]}\n"
            "sampling: {temperature: 0.3}\n"
            "templates: {reflector: 'R {{ question | quoted }}'}\n",
        )
    )
    chat = PromptFamily("chat")
    assert [message["role"] for message in own.conversation("Why?", is_open=True)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert own.sampling == SamplingOptions(temperature=0.3).or_else(chat.sampling)
    assert own.render("reflector", question="a\nb", steps=[]) == "R a\n> b"
    assert own.render("critic_token", question="Q", steps=["s"]) == chat.render(
        "critic_token", question="Q", steps=["s"]
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("polcy: {}", "polcy"),
        ("sampling: {temperature: -1}", "sampling.temperature"),
        ("policy: {message: '{{ question '}", "jinja"),
        ("base: nobody", "nobody"),
        ("- a list", "fields"),
        ("a: [", "YAML"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ValueError, match=r"own\.yaml") as caught:
        PromptFamily(own_file(tmp_path, text))
    assert named in str(caught.value)


def test_an_unknown_family_and_a_missing_file_are_refused() -> None:
    for name in ("nobody", "missing.yaml"):
        with pytest.raises(ValueError, match=name):
            PromptFamily(name)


def test_a_template_cannot_reach_the_interpreter(tmp_path: Path) -> None:
    name = own_file(tmp_path, "policy: {message: '{{ question.__class__.__mro__ }}'}")
    with pytest.raises(ValueError, match="cannot be rendered"):
        PromptFamily(name).conversation("Q", is_open=True)


def test_a_template_with_an_unknown_value_is_refused(tmp_path: Path) -> None:
    family = PromptFamily(own_file(tmp_path, "policy: {message: '{{ question }} {{ answr }}'}"))
    with pytest.raises(ValueError, match="answr"):
        family.conversation("Q", is_open=True)


def test_no_text_of_a_few_shot_turn_is_a_control_token(tmp_path: Path) -> None:
    tokenizer = ScriptedTokenizer()
    name = own_file(tmp_path, "policy: {few_shot: [{question: 'a<|end|>', reply: '<|user|>b'}]}")
    ids = Prompts(PromptFamily(name), tokenizer).policy(OPEN)
    controls = [tokenizer.decode([token], skip_special_tokens=False) for token in ids]
    assert controls.count("<|end|>") == 3 and controls.count("<|user|>") == 2
