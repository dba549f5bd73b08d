"""The conformance suite of `Task`, and what each source does with good and bad
input.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agents.answers import checker_for
from agents.families import FAMILIES, recognise_question
from agents.types import BadDataError, split_of
from configs.options import groups
from graphs.tasks import (
    TASKS,
    TaskData,
    assert_trainable,
    base,
    load_task,
    make_task,
    split_of_question,
    split_of_text,
)
from graphs.tasks.base import Task

GYM = {"datasets": ("leg_counting", "chain_sum", "spell_backward"), "size": 30}

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Returns a function that writes lines (objects become JSON) to a file and gives
    its path.
    """

    def write_lines(*lines: Any, name: str = "questions.jsonl") -> str:
        path = tmp_path / name
        path.write_bytes(
            b"\n".join(
                line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
            )
        )
        return str(path)

    return write_lines


def row(number: int, answer: Any = "5") -> dict[str, Any]:
    return {"question": f"What is {number}?", "answer": answer}


def gsm8k_row(number: int) -> dict[str, str]:
    return {
        "question": f"What is {number} times 1,000?",
        "answer": f"It is <<{number}*1000={number}000>>.\n#### {number},000",
    }


PUBLISHED: dict[str, Callable[[int], dict[str, Any]]] = {
    "gsm8k": gsm8k_row,
    "svamp": lambda n: {
        "Body": f"There are {n} oranges. ",
        "Question": "How many?",
        "Answer": float(n),
        "Type": "Subtraction",
    },
    "multiarith": lambda n: {"input": f"What is {n} + 2?", "target": n + 2},
    "math500": lambda n: {
        "problem": f"What is $\\frac{{{n}}}{{7}}$?",
        "answer": f"\\frac{{{n}}}{{7}}",
        "subject": "Algebra",
        "level": 1,
    },
}
"""Rows of the published sets, made up."""


@pytest.fixture(params=["jsonl", "csv", "pocket", "reasoning_gym", *PUBLISHED])
def load(request: pytest.FixtureRequest, write: Write) -> Callable[..., TaskData]:
    """Returns a loader of each task, small."""
    name = request.param
    options: dict[str, dict[str, Any]] = {
        "jsonl": {"path": write(*(row(number) for number in range(200))), "split": "train"},
        "csv": {
            "path": write(
                b"question,answer", *(f"What is {n}?,5".encode() for n in range(200)), name="q.csv"
            ),
            "split": "train",
        },
        **{
            task: {"path": write(*(make_row(number) for number in range(1, 201)), name=task)}
            for task, make_row in PUBLISHED.items()
        },
        "pocket": {"size": 30, "split": "validation"},
        "reasoning_gym": {**GYM, "split": "validation"},
    }
    return lambda **changed: load_task(name, **{**options[name], **changed})


def test_the_same_options_load_the_same_questions(load: Callable[..., TaskData]) -> None:
    assert load() == load()


def test_every_question_is_different_and_says_where_it_comes_from(
    load: Callable[..., TaskData],
) -> None:
    data = load()
    assert len({question.hash for question in data.questions}) == len(data.questions) >= 30
    for question in data.questions:
        assert question.task in TASKS
        assert question.gold
        assert question.metadata["split"] in ("train", "validation", "test")
        assert json.loads(json.dumps(question.metadata)) == question.metadata


def test_offset_and_limit_take_a_stretch(load: Callable[..., TaskData]) -> None:
    everything = load().questions
    assert load(offset=3, limit=5).questions == everything[3:8]
    assert load(limit=10**6).questions == everything
    with pytest.raises(BadDataError, match=r"task\.offset \(1000000\)"):
        load(offset=10**6)
    for wrong in ({"offset": -1}, {"limit": 0}, {"split": "dev"}):
        with pytest.raises(ValueError, match=rf"task\.{next(iter(wrong))}"):
            load(**wrong)


async def test_the_gold_answer_of_every_question_is_correct(load: Callable[..., TaskData]) -> None:
    questions = load(limit=12).questions
    checker = checker_for(questions[0].task)
    for question in questions:
        assert question.gold is not None
        assert (await checker.check(question, question.gold)).correct is True
    await checker.close()


@pytest.mark.parametrize(("name", "options"), [("pocket", {"size": 20}), ("reasoning_gym", GYM)])
def test_generated_splits_keep_to_the_hash_and_seeds_differ(
    name: str, options: dict[str, Any]
) -> None:
    drawn = {}
    for split in ("train", "validation", "test"):
        for seed in (0, 1):
            questions = load_task(name, **{**options, "split": split, "seed": seed}).questions
            assert {split_of_text(question.text) for question in questions} == {split}
            drawn[split, seed] = {question.text for question in questions}
    assert drawn["test", 0] != drawn["test", 1]
    # small pocket levels may repeat between seeds
    assert not drawn["train", 0] & drawn["train", 1] or name == "pocket"


@pytest.mark.parametrize(
    ("name", "options"),
    [("pocket", {}), ("reasoning_gym", {"datasets": ("chain_sum", "leg_counting")})],
)
def test_a_smaller_size_is_the_beginning_of_a_larger_one(
    name: str, options: dict[str, Any]
) -> None:
    assert (
        load_task(name, size=7, **options).questions
        == load_task(name, size=25, **options).questions[:7]
    )


# --- files


def test_a_malformed_line_is_named_by_its_number_and_the_rest_is_kept(write: Write) -> None:
    path = write(
        *(
            row(1),
            b'{"question": "What',
            b"",
            b"[1]",
            {"answer": "5"},
            {"question": 3, "answer": "5"},
        ),
        *(b"\xff\xfe", row(2, None), row(1), {"question": "\ud800", "answer": "5"}),
    )
    data = load_task("jsonl", path=path)
    assert [question.text for question in data.questions] == ["What is 1?", "What is 2?"]
    assert [question.gold for question in data.questions] == ["5", None]
    assert [question.metadata["line"] for question in data.questions] == [1, 8]
    assert [str(problem) for problem in data.problems[:6]] == [
        "line 2 is not JSON: Unterminated string starting at column 14",
        "line 4 is a JSON list, not an object",
        "line 5 has no field 'question'; its fields are 'answer'; set task.question_field to the "
        "one that is meant",
        "line 6 has a field 'question' that is an int, not text",
        "line 7 is not UTF-8 text",
        "line 9 repeats the question of line 1",
    ]
    assert (
        data.problems[6].line == 10
        and "surrogate" in data.problems[6].reason
        and "\n" not in data.problems[6].reason
    )


@pytest.mark.parametrize(
    "bad",
    [
        *(
            b"[" * 100_000,
            b'{"question": "", "answer": 5}',
            b'{"question": "q", "answer": []}',
            b"null",
        ),
        *(b"1" * 5000, b'{"question": "q", "answer": true}', b'{"question": "q", "answer": NaN}'),
        *(
            b'{"question": "q", "answer": 1e999}',
            b'{"question": ["q"]}',
            b'{"question": "q", "answer": {"a": 1}}',
        ),
    ],
)
def test_no_line_is_too_strange_to_be_skipped(write: Write, bad: bytes) -> None:
    data = load_task("jsonl", path=write(bad, row(2)))
    assert [problem.line for problem in data.problems] == [1]
    assert len(data.questions) == 1


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        ("5", "5"),
        (5, "5"),
        (145.0, "145"),
        (0.5, "0.5"),
        (" 7 ", "7"),
        (None, None),
        ("", None),
        ("True", "True"),
        ("2024-05-01",) * 2,
    ],
)
def test_a_gold_answer_may_be_text_a_number_or_null(
    write: Write, value: Any, gold: str | None
) -> None:
    assert load_task("jsonl", path=write(row(1, value))).questions[0].gold == gold


def test_fields_have_the_names_that_are_asked_for(write: Write) -> None:
    path = write({"Body": "There are 2 oranges.", "Question": "How many?", "Answer": 2.0})
    (question,) = load_task(
        "jsonl", path=path, question_field="Body,Question", answer_field="Answer"
    ).questions
    assert (question.text, question.gold) == ("There are 2 oranges. How many?", "2")


@pytest.mark.parametrize("name", ["jsonl", "csv", "text", *PUBLISHED])
def test_a_file_without_a_question_is_refused(write: Write, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadDataError, match=r"task\.path .*nothing\) does not exist"):
        load_task(name, path=str(tmp_path / "nothing"))
    with pytest.raises(BadDataError, match=r"cannot be read|is a folder"):
        load_task(name, path=str(tmp_path))
    with pytest.raises(BadDataError, match="is empty"):
        load_task(name, path=write(b"", b"", name="empty"))
    if name in ("csv", "text"):
        return
    with pytest.raises(
        BadDataError, match=r"no readable question: line 1 is not JSON.*line 3.*and 1 more"
    ):
        load_task(name, path=write(b"a", b"b", b"c", b"d"))


def test_a_file_without_a_question_of_the_split_is_refused(write: Write) -> None:
    text = next(
        f"What is {number}?"
        for number in range(1000)
        if split_of_text(f"What is {number}?") == "train"
    )
    with pytest.raises(BadDataError, match="split"):
        load_task("jsonl", path=write({"question": text, "answer": "1"}), split="test")


def test_gsm8k_gold_stands_after_the_mark_without_commas(write: Write) -> None:
    data = load_task("gsm8k", path=write(gsm8k_row(3), {"question": "q", "answer": "no mark"}))
    assert data.questions[0].gold == "3000"
    assert data.questions[0].metadata["solution"].startswith("It is <<")
    assert str(data.problems[0]) == "line 2 has an answer without '#### GOLD'"


def test_gsm8k_splits_are_disjoint_and_its_test_file_is_never_trained_on(write: Write) -> None:
    path = write(*(gsm8k_row(number) for number in range(1, 201)), name="gsm8k_train.jsonl")
    splits = [
        {question.text for question in load_task("gsm8k", path=path, split=split).questions}
        for split in ("train", "validation")
    ]
    assert not splits[0] & splits[1]
    assert len(splits[0] | splits[1]) == 200
    with pytest.raises(ValueError, match=r"set task\.split=train"):
        make_task("gsm8k", path=path, split="test")
    for split in ("train", "validation"):
        with pytest.raises(ValueError, match=r"set task\.split=test"):
            make_task("gsm8k", path="GSM8K_test.jsonl", split=split)


@pytest.mark.parametrize(
    ("name", "split"), [("svamp", "train"), ("multiarith", "validation"), ("math500", "train")]
)
def test_what_is_for_measuring_only_is_no_training_data(
    write: Write, name: str, split: str
) -> None:
    with pytest.raises(
        ValueError,
        match=rf"task\.split \({split}\).*for measuring only; set task\.split=test.*task=gsm8k",
    ):
        make_task(name, split=split)
    (question,) = load_task(name, path=write(PUBLISHED[name](3), name="train.jsonl")).questions
    assert question.metadata["split"] == split_of_question(question) == "test"
    with pytest.raises(ValueError, match="must not be trained on"):
        assert_trainable([question])


@pytest.mark.parametrize(
    ("name", "row", "text", "gold"),
    [
        (
            "svamp",
            {"Body": "2 pens. ", "Question": "How many?", "Answer": 2.0},
            "2 pens. How many?",
            "2",
        ),
        ("multiarith", {"input": "What is 1 + 2?", "target": 3}, "What is 1 + 2?", "3"),
        ("multiarith", {"question": " What is 1 + 2? ", "final_ans": "3"}, "What is 1 + 2?", "3"),
        ("math500", {"problem": "What is $x$?", "answer": "\\pi"}, "What is $x$?", "\\pi"),
    ],
)
def test_a_published_row_is_read_and_one_without_a_field_is_a_problem(
    write: Write, name: str, row: dict[str, Any], text: str, gold: str
) -> None:
    incomplete = [
        {field: value for field, value in row.items() if field != missing} for missing in row
    ]
    data = load_task(name, path=write(row, *incomplete))
    assert [(question.text, question.gold) for question in data.questions] == [(text, gold)]
    assert len(data.problems) == len(row)


def test_a_family_is_the_subject_in_math500_and_the_type_in_svamp(
    write: Write,
) -> None:
    families = [
        load_task(name, path=write(PUBLISHED[name](3))).questions[0].metadata["family"]
        for name in ("math500", "svamp")
    ]
    assert families == ["Algebra", "Subtraction"]


@pytest.mark.parametrize(
    ("name", "asked_for"),
    [
        ("gsm8k", ("openai/gsm8k", "main", "test")),
        ("svamp", ("ChilleD/SVAMP", "train+test")),
        ("multiarith", ("ChilleD/MultiArith", "train+test")),
        ("math500", ("HuggingFaceH4/MATH-500", "test")),
    ],
)
def test_a_published_set_comes_from_the_hub_without_a_path(
    monkeypatch: pytest.MonkeyPatch, name: str, asked_for: tuple[str, ...]
) -> None:
    asked = []

    def load_dataset(*names: str, split: str) -> list[dict[str, Any]]:
        asked.append((*names, split))
        return [PUBLISHED[name](1), {"question": "q", "answer": "no mark"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    data = load_task(name)
    assert asked == [asked_for]
    assert (len(data.questions), data.problems[0].line) == (1, 2)


def test_without_a_hub_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*names: str, split: str) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(BadDataError, match=r"no route.*task\.path=FILE"):
        load_task("gsm8k")


def documented_task() -> Callable[..., Task]:
    """Returns the class of the docstring of graphs/tasks/base.py, as it stands
    there.
    """
    lines = (base.__doc__ or "").splitlines()
    first = next(
        number for number, line in enumerate(lines) if line.strip().startswith("@dataclass")
    )
    last = max(number for number, line in enumerate(lines) if line.startswith("    "))
    names = vars(base) | {"split_of_text": split_of_text, "__name__": __name__}
    exec(textwrap.dedent("\n".join(lines[first : last + 1])), names)
    task: Callable[..., Task] = names["SumsTask"]
    return task


def test_the_documented_task_loads_what_it_says(write: Write) -> None:
    questions = ["Solve 66 + 12 * c = 414 for c.", *(f"{number} + 1" for number in range(100))]
    path = write(
        *(
            f"{question} = {29 if 'Solve' in question else question[:-4]}".encode()
            for question in questions
        ),
        b"1 + 2",
    )
    found = {split: documented_task()(path, split=split).load() for split in base.SPLITS}
    assert [str(problem) for problem in found["test"].problems] == ["line 102 has no ' = '"]
    assert sorted(
        question.text for data in found.values() for question in data.questions
    ) == sorted(questions)
    assert all(
        split_of_text(question.text) == split
        for split, data in found.items()
        for question in data.questions
    )
    assert "29" in {
        question.gold
        for question in found[split_of_text(questions[0])].questions
        if "Solve" in question.text
    }


# --- generated


def test_pocket_questions_have_the_configured_families_and_levels() -> None:
    questions = load_task(
        "pocket", families=("locks", "equations"), levels=(1, 2), size=40
    ).questions
    problems = [recognise_question(question.text) for question in questions]
    assert all(problem is not None for problem in problems)
    assert {problem.family for problem in problems if problem} == {"locks", "equations"}
    assert {problem.level for problem in problems if problem} == {1, 2}
    assert [question.metadata["family"] for question in questions] == ["locks", "equations"] * 20
    assert {
        question.metadata["family"] for question in load_task("pocket", size=20).questions
    } == set(FAMILIES)


def test_gym_wording_is_kept_and_parameters_reach_the_generator() -> None:
    import reasoning_gym

    parameters = {
        "countdown": {
            "min_numbers": 3,
            "max_numbers": 3,
            "max_value": 25,
            "min_target": 1,
            "max_target": 99,
        }
    }
    questions = load_task("reasoning_gym", size=2, split="train", parameters=parameters).questions
    for question in questions:
        meta = question.metadata
        entry = reasoning_gym.create_dataset(
            "countdown", size=500, seed=meta["seed"], **parameters["countdown"]
        )[meta["index"]]
        assert (question.text, question.gold) == (entry["question"], entry["answer"])
        assert len(meta["entry"]["numbers"]) == 3


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "nonsense",
            {},
            BadDataError,
            "choose one of pocket, reasoning_gym, gsm8k, svamp, multiarith, math500, jsonl, csv, "
            "text",
        ),
        ("user", {}, BadDataError, r"graphs\.ask"),
        ("jsonl", {}, ValueError, r"needs task\.path"),
        ("csv", {}, ValueError, r"needs task\.path"),
        ("text", {}, ValueError, r"needs task\.path"),
        (
            "jsonl",
            {"path": "x", "question_field": "a,"},
            ValueError,
            r"task\.question_field \('a,'\)",
        ),
        (
            "csv",
            {"path": "x", "delimiter": ", "},
            ValueError,
            r"task\.delimiter \(', '\) must be one character",
        ),
        ("pocket", {"siez": 5}, ValueError, "has no option siez; it has split, size"),
        ("pocket", {"families": ("cooking",)}, ValueError, "choose from countdown"),
        ("pocket", {"families": ("legs",), "levels": (9,)}, ValueError, "it has 1, 2, 3"),
        ("pocket", {"size": 0}, ValueError, r"task\.size \(0\)"),
        (
            "reasoning_gym",
            {"datasets": ("countdwon",)},
            BadDataError,
            "has no 'countdwon'; it has .*countdown, ",
        ),
        ("reasoning_gym", {"datasets": ()}, ValueError, "at least one"),
        (
            "reasoning_gym",
            {"datasets": ("chain_sum", "gsm_symbolic"), "split": "train"},
            ValueError,
            r"measuring only; set task\.split=test",
        ),
        (
            "reasoning_gym",
            {"datasets": ("gsm_symbolic",), "split": "validation"},
            ValueError,
            "GSM8K's test questions",
        ),
        ("reasoning_gym", {"datasets": ("arc_agi",), "split": "train"}, ValueError, "ARC-AGI-1"),
        (
            "reasoning_gym",
            {"datasets": ("graph_color",)},
            BadDataError,
            "no single answer that can be checked",
        ),
        (
            "reasoning_gym",
            {"datasets": ("rearc",)},
            BadDataError,
            "no single answer that can be checked",
        ),
        ("reasoning_gym", {"datasets": ("composite",)}, BadDataError, "cannot be generated"),
        (
            "reasoning_gym",
            {"datasets": ("coin_flip",)},
            BadDataError,
            r"no more than \d+ different questions",
        ),
        (
            "reasoning_gym",
            {"parameters": {"chain_sum": {}}},
            ValueError,
            r"task\.parameters names chain_sum",
        ),
        (
            "reasoning_gym",
            {"parameters": {"countdown": {"max_valeu": 5}}},
            BadDataError,
            "max_valeu",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why_and_what_could(
    name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_task(name, **options)


# --- the published files


@pytest.mark.parametrize(
    ("file", "options", "count"),
    [
        ("gsm8k_test.jsonl", {"name": "gsm8k", "split": "test"}, 1319),
        ("svamp.jsonl", {"name": "svamp"}, 1000),
        ("mawps_multiarith.jsonl", {"name": "multiarith"}, 580),
        ("math500.jsonl", {"name": "math500"}, 500),
    ],
)
async def test_published_files_load_and_their_golds_check(
    file: str, options: dict[str, Any], count: int
) -> None:
    folder = os.environ.get("LONGTHOUGHT_DATA")
    if not folder:
        pytest.skip("set LONGTHOUGHT_DATA to a folder with the published benchmark files")
    data = load_task(**options, path=str(Path(folder) / file))
    assert len(data.questions) == count
    assert all("repeats" in problem.reason for problem in data.problems)
    checker = checker_for(options["name"])
    for question in data.questions:
        assert question.gold is not None
        assert (await checker.check(question, f"${question.gold}$.")).correct is True, question.gold
    await checker.close()


@pytest.mark.parametrize("name", TASKS)
def test_every_option_of_the_configuration_reaches_its_task(name: str) -> None:
    group = next(choice.model for choice in groups()["task"] if choice.value == name)
    required = {name: "x" for name, field in group.model_fields.items() if field.is_required()}
    options = {field.name for field in fields(type(make_task(name, **required)))}  # type: ignore[arg-type]
    assert set(group.model_fields) - {"name", "checker"} <= options


def test_two_wordings_of_one_question_are_in_one_split() -> None:
    for number in range(1, 40):
        assert split_of_text(
            f"How many legs do {number % 9 + 1} cows and {number % 7 + 1} spiders have?"
        ) == split_of(f"Count the legs: {number % 9 + 1} cow, {number % 7 + 1} spider.")
