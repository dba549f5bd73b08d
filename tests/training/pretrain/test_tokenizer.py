"""The tokenizer is a round trip over everything that the generators make, and reads
what people type.
"""

import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from agents.families import FAMILIES
from training.pretrain.tokenizer import (
    SPECIAL_TOKENS,
    STEP_SEPARATOR,
    Codec,
    build_tokenizer,
    save_tokenizer,
)

TOKENIZER = build_tokenizer()
CODEC = Codec()


def _generated_texts(seed: int, count: int) -> list[str]:
    rng, texts = random.Random(seed), []
    for family in FAMILIES.values():
        for level in family.levels:
            for _ in range(count):
                problem = family.generate(rng, level)
                steps = problem.solution(rng)
                prefix = steps[: rng.randrange(len(steps))]
                wrong = problem.wrong_step(rng, prefix)
                texts += [
                    problem.text,
                    *steps,
                    wrong,
                    problem.working(prefix, wrong),
                    problem.working(steps[:-1], steps[-1]),
                ]
    return texts


def test_encode_of_decode_is_identity_on_everything_generated() -> None:
    for text in _generated_texts(0, 30):
        ids = TOKENIZER(text)["input_ids"]
        assert TOKENIZER.unk_token_id not in ids, text
        assert TOKENIZER(TOKENIZER.decode(ids))["input_ids"] == ids


def test_steps_and_questions_decode_to_themselves() -> None:
    rng = random.Random(1)
    for family in FAMILIES.values():
        for level in family.levels:
            problem = family.generate(rng, level)
            for text in (problem.text, *problem.solution(rng)):
                assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


def test_codec_equals_tokenizer() -> None:
    assert len(TOKENIZER) == CODEC.size
    assert TOKENIZER.convert_tokens_to_ids(STEP_SEPARATOR) == CODEC.separator
    for name in ("bos", "eos", "critic", "right"):
        assert TOKENIZER.convert_tokens_to_ids(f"<|{name}|>") == CODEC.special(name)
    for text in _generated_texts(2, 20):
        ids = TOKENIZER(text)["input_ids"]
        assert CODEC.encode(text) == tuple(ids)
        assert CODEC.encode(CODEC.decode(ids)) == tuple(ids)


@pytest.mark.parametrize(
    ("raw", "spaced"),
    [
        ("3x + 2=11", "3 x + 2 = 11"),
        ("(3+4)*2", "( 3 + 4 ) * 2"),
        ("7,", "7 ,"),
        ("Answer : 57", "Answer: 57"),
        ("= -4", "= - 4"),
        ("Compute\n3  + 4.", "Compute 3 + 4 ."),
    ],
)
def test_raw_text_is_read_as_its_spaced_form(raw: str, spaced: str) -> None:
    assert TOKENIZER(raw)["input_ids"] == TOKENIZER(spaced)["input_ids"]


@pytest.mark.parametrize(
    ("number", "tokens"),
    [
        ("7", ["▁7"]),
        ("99", ["▁99"]),
        ("105", ["▁1", "05"]),
        ("1000", ["▁10", "00"]),
        ("12345", ["▁1", "23", "45"]),
    ],
)
def test_large_numbers_are_right_aligned_chunks(number: str, tokens: list[str]) -> None:
    ids = TOKENIZER(number)["input_ids"]
    assert TOKENIZER.convert_ids_to_tokens(ids) == tokens
    assert TOKENIZER.decode(ids) == number


def test_a_thought_decodes_to_steps_between_blank_lines() -> None:
    thought = (
        "<|propose|>25 + 7 = 32 ; left 3 11 32\n\n<|conclude|>Answer: (25 + 7) * 3 - 11<|eos|>"
    )
    ids = TOKENIZER(thought)["input_ids"]
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == (
        "25 + 7 = 32 ; left 3 11 32\n\nAnswer: (25 + 7) * 3 - 11"
    )
    assert ids.count(CODEC.separator) == 1


def test_chat_template_renders_the_policy_prompt(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    messages = [{"role": "user", "content": "Compute 3 + 4."}]
    rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert rendered == "<|bos|><|user|>Compute 3 + 4.<|policy|>"
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    assert ids == [
        CODEC.special("bos"),
        CODEC.special("user"),
        *CODEC.encode("Compute 3 + 4."),
        CODEC.special("policy"),
    ]
    assert set(SPECIAL_TOKENS) <= set(tokenizer.all_special_tokens)
    assert STEP_SEPARATOR not in tokenizer.all_special_tokens
