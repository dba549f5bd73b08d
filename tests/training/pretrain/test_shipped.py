"""The shipped pocket model is the one that this code makes: same tokenizer, same
families, and it reaches the figures of its card.
"""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import agents
from agents.families import FAMILIES
from training.pretrain.evaluate import validation_problems
from training.pretrain.judging import CRITIC_FORMS
from training.pretrain.tokenizer import CHAT_TEMPLATE, vocabulary

POCKET = Path(agents.__file__).parent / "pocket"


def test_weights_are_small_and_tokenizer_is_current() -> None:
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    assert (POCKET / "model.safetensors").stat().st_size <= 12_000_000
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in vocabulary()} == vocabulary()
    assert tokenizer.chat_template == CHAT_TEMPLATE


def test_listed_families_and_calibration_are_those_of_the_code() -> None:
    listed = json.loads((POCKET / "families.json").read_text())["families"]
    assert {entry["name"]: tuple(entry["levels"]) for entry in listed} == {
        name: family.levels for name, family in FAMILIES.items()
    }
    calibration = json.loads((POCKET / "calibration.json").read_text())
    for form in CRITIC_FORMS:
        assert set(calibration[form]) <= {*FAMILIES, "*"}
        assert all(
            {"a", "b", "num_right", "num_wrong"} <= set(line) for line in calibration[form].values()
        )


@pytest.mark.parametrize(("family", "level", "least"), [("locks", 2, 0.8), ("legs", 1, 0.8)])
def test_greedy_thought_in_a_chat_is_as_good_as_the_card_says(
    family: str, level: int, least: float
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(POCKET, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32)
    problems = validation_problems(family, level, 40, seed=7)
    chats = [[{"role": "user", "content": problem.text}] for problem in problems]
    prompts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    batch = tokenizer(
        prompts,
        return_tensors="pt",
        padding=True,
        add_special_tokens=False,
        return_token_type_ids=False,
    )
    thoughts = tokenizer.batch_decode(
        model.generate(**batch, max_new_tokens=80, do_sample=False)[
            :, batch["input_ids"].shape[1] :
        ],
        skip_special_tokens=True,
    )
    solved = 0
    for problem, thought in zip(problems, thoughts, strict=True):
        *_, last = thought.split("\n\n")
        solved += last.startswith("Answer: ") and problem.is_correct(last.removeprefix("Answer: "))
    assert solved / len(problems) >= least
