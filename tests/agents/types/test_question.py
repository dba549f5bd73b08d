"""Questions: one name for one text, and a split that depends on the text alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.types import Question, Turn, question_hash, split_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS)
def test_a_hash_is_sixteen_hex_digits_and_depends_on_the_text_alone(text: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", question_hash(text))
    assert (
        Question(text=text, gold="1", task="a").hash
        == Question(text=text, task="b", metadata={"x": 1}).hash
        == question_hash(text)
    )


@given(TEXTS, st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1))
def test_a_hash_depends_on_the_history_where_there_is_one(
    text: str, turns: list[tuple[str, str]]
) -> None:
    history = [Turn.model_validate({"role": role, "text": said}) for role, said in turns]
    asked = Question(text=text, history=tuple(history))
    assert asked.hash == Question(text=text, history=tuple(history), gold="1").hash
    hashes = {Question(text=text, history=tuple(history[n:])).hash for n in range(len(turns) + 1)}
    assert len(hashes) == len(turns) + 1 and question_hash(text) in hashes


@given(
    st.lists(st.text("abc", min_size=1), min_size=1),
    st.lists(st.sampled_from([" ", "\n", "\t\t", " \r\n "]), min_size=1),
)
def test_white_space_does_not_make_another_question(words: list[str], blanks: list[str]) -> None:
    spread = "".join(word + blanks[index % len(blanks)] for index, word in enumerate(words))
    assert question_hash(spread) == question_hash(" ".join(words))


@given(
    st.lists(
        st.text("abc ", min_size=1),
        unique_by=lambda text: " ".join(text.split()),
        min_size=2,
        max_size=9,
    )
)
def test_different_texts_have_different_hashes(texts: list[str]) -> None:
    assert len({question_hash(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "name", "split"),
    [
        ("", "e3b0c44298fc1c14", "train"),
        ("What is 0 + 2?", "442fd0303365b80e", "train"),
        ("What is 1 + 2?", "6341b664e7af5ff8", "test"),
        ("What is 3 + 2?", "3b4e597ae7bda175", "validation"),
    ],
)
def test_hashes_and_splits_never_change(text: str, name: str, split: str) -> None:
    assert (question_hash(text), split_of(text)) == (name, split)


def test_another_process_agrees() -> None:
    texts = [f"What is {number} + 1?" for number in range(50)]
    program = f"from agents.types import split_of; print([split_of(text) for text in {texts!r}])"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert answer.stdout.strip() == repr([split_of(text) for text in texts])


def test_a_twentieth_is_for_testing_and_a_twentieth_for_validation() -> None:
    counts = Counter(split_of(f"What is {number} + 1?") for number in range(20_000))
    # four standard deviations
    assert abs(counts["test"] - 1000) < 125 and abs(counts["validation"] - 1000) < 125
    assert sum(counts.values()) == 20_000


def test_a_question_is_not_changed_and_has_no_unknown_fields() -> None:
    question = Question(text="x")
    with pytest.raises(ValidationError):
        question.text = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Question(text="x", anwser="1")  # type: ignore[call-arg]
