"""No question of a validation or test split may be trained on."""

from __future__ import annotations

import pytest

from agents.types import Question, Split, split_of
from graphs.tasks import assert_trainable, is_for_measuring_only, load_task, split_of_question
from graphs.tasks.leakage import FROM_TEST_QUESTIONS


def question_of(split: Split, **fields: object) -> Question:
    text = next(
        f"What is {number}?" for number in range(10_000) if split_of(f"What is {number}?") == split
    )
    return Question.model_validate({"text": text, **fields})


def test_training_questions_pass() -> None:
    assert_trainable([])
    assert_trainable([question_of("train"), *load_task("pocket", split="train", size=10).questions])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_held_out_question_is_named_by_its_hash(split: Split) -> None:
    question = question_of(split)
    with pytest.raises(ValueError, match=rf"{question.hash} .*{split} split.*task\.split=train"):
        assert_trainable([question_of("train"), question])


def test_metadata_cannot_talk_the_hash_away() -> None:
    with pytest.raises(ValueError, match="test split"):
        assert_trainable([question_of("test", task="pocket", metadata={"split": "train"})])


def test_gsm8k_is_split_by_its_files() -> None:
    for split in ("train", "validation", "test"):
        assert (
            split_of_question(question_of("train", task="gsm8k", metadata={"split": split}))
            == split
        )
    assert_trainable([question_of("test", task="gsm8k", metadata={"split": "train"})])
    with pytest.raises(ValueError, match=r"metadata\['split'\]"):
        assert_trainable([question_of("train", task="gsm8k")])


@pytest.mark.parametrize("dataset", FROM_TEST_QUESTIONS)
def test_what_is_made_from_test_questions_is_never_trained_on(dataset: str) -> None:
    metadata = (
        {"dataset": dataset},
        {"dataset": "composite", "entry": {"source_dataset": dataset}},
    )
    for fields in metadata:
        question = question_of("train", task="reasoning_gym", metadata={**fields, "split": "train"})
        assert split_of_question(question) == "test" and is_for_measuring_only(question)
        with pytest.raises(ValueError, match=f"{question.hash}.*published test questions"):
            assert_trainable([question_of("train"), question])


def test_gsm_symbolic_is_evaluated_on() -> None:
    (question,) = load_task("reasoning_gym", datasets=("gsm_symbolic",), limit=1).questions
    assert question.metadata["split"] == split_of_question(question) == "test"
    with pytest.raises(ValueError, match="must not be trained on"):
        assert_trainable([question])


def test_what_is_made_from_nothing_published_is_split_by_its_hash() -> None:
    questions = load_task(
        "reasoning_gym", datasets=("chain_sum", "leg_counting"), split="train", size=6
    ).questions
    assert_trainable(questions)
    assert not any(map(is_for_measuring_only, questions))
    strange = question_of(
        "train", task="reasoning_gym", metadata={"dataset": ["gsm_symbolic"], "entry": "x"}
    )
    assert split_of_question(strange) == "train"
