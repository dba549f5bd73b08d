"""Published sets from a folder, in order of their hashes, and at chosen levels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.types import BadDataError
from graphs.tasks.registry import load_task


def write(path: Path, *rows: Mapping[str, object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def gsm8k(number: int) -> dict[str, str]:
    return {"question": f"What is {number} + 1?", "answer": f"#### {number + 1}"}


def test_a_folder_gives_the_file_of_the_part(tmp_path: Path) -> None:
    write(tmp_path / "gsm8k_test.jsonl", gsm8k(1))
    write(tmp_path / "gsm8k_train.jsonl", *(gsm8k(number) for number in range(100, 200)))
    write(tmp_path / "svamp.jsonl", {"Body": "A has 2.", "Question": "How many?", "Answer": "2"})
    [question] = load_task("gsm8k", path=str(tmp_path)).questions
    assert question.gold == "2"
    train = load_task("gsm8k", path=str(tmp_path), split="train").questions
    assert len(train) > 50
    assert load_task("svamp", path=str(tmp_path)).questions[0].gold == "2"
    with pytest.raises(BadDataError, match="math500"):
        load_task("math500", path=str(tmp_path))


def test_order_by_hash_does_not_depend_on_the_file(tmp_path: Path) -> None:
    rows = [gsm8k(number) for number in range(30)]
    chosen = []
    for name, order in (("a", rows), ("b", rows[::-1])):
        path = tmp_path / f"{name}.jsonl"
        write(path, *order)
        data = load_task("gsm8k", path=str(path), order="hash", limit=5)
        chosen.append([question.text for question in data.questions])
    assert chosen[0] == chosen[1] != [row["question"] for row in rows[:5]]


def test_levels_choose_questions_before_the_limit(tmp_path: Path) -> None:
    rows = [{"problem": f"P{n}", "answer": str(n), "level": n % 5 + 1} for n in range(20)]
    path = tmp_path / "math500.jsonl"
    write(path, *rows)
    data = load_task("math500", path=str(path), levels=(1, 2), limit=3)
    assert [question.text for question in data.questions] == ["P0", "P1", "P5"]
