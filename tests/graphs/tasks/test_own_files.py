"""Files of one's own: JSON Lines, CSV and text, with golds, without, and broken in
every way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.types import BadDataError
from graphs.tasks import TaskData, load_task, split_of_text

Load = Callable[..., TaskData]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Returns a function that writes a file and loads it."""

    def load_file(name: str, content: str | bytes, **options: object) -> TaskData:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        default = {".csv": "csv", ".tsv": "csv", ".txt": "text"}.get(path.suffix, "jsonl")
        return load_task(str(options.pop("task", default)), path=str(path), **options)

    return load_file


def pairs(data: TaskData) -> list[tuple[str, str | None]]:
    return [(question.text, question.gold) for question in data.questions]


QUESTIONS = [
    ("What is 2 + 2?", "4"),
    ('Who said "no, thanks"?\nName him.', "Bartleby"),
    ("Größe?", None),
]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("q.csv", "", "header"),
        ("q.csv", "question,answer\n", "row"),
        ("q.jsonl", "", "JSON object"),
        ("q.txt", "\n", "line"),
    ],
)
def test_an_empty_file_is_told_what_it_should_hold(
    load: Load, name: str, content: str, expected: str
) -> None:
    with pytest.raises(BadDataError, match=f"is empty .*{expected}"):
        load(name, content)


def test_the_same_questions_come_of_every_format(load: Load, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"question": text, "answer": gold}) for text, gold in QUESTIONS)
    with (tmp_path / "written.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("answer", "question"), *((gold, text) for text, gold in QUESTIONS)])
    table = (tmp_path / "written.csv").read_bytes()
    assert pairs(load("q.jsonl", lines)) == pairs(load("q.csv", table)) == QUESTIONS
    assert pairs(load("q.txt", "\n\n".join(text.replace("\n", " ") for text, _ in QUESTIONS))) == [
        (text.replace("\n", " "), None) for text, _ in QUESTIONS
    ]


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ends_make_no_difference(
    load: Load, name: str, end: str, mark: bytes
) -> None:
    lines = {
        "q.jsonl": ['{"question": "a?"}', '{"question": "b?"}'],
        "q.csv": ["question", "a?", "b?"],
        "q.txt": ["a?", "b?"],
    }[name]
    for trailing in ("", end, end + end):
        data = load(name, mark + (end.join(lines) + trailing).encode())
        assert pairs(data) == [("a?", None), ("b?", None)]
        assert data.problems == [] and data.notes == []
        assert [question.metadata["line"] for question in data.questions] == (
            [2, 3] if name == "q.csv" else [1, 2]
        )


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.txt"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("question\na?\n".encode("utf-16"), "iconv -f UTF-16"),
        (b"\xfe\xff\x00q", "iconv -f UTF-16"),
        ("question\na?\n".encode("utf-16-le"), "NUL bytes"),
        (b"PAR1\x15\x04\x00\x00", "NUL bytes"),
    ],
)
def test_what_is_no_utf8_text_is_refused(load: Load, name: str, content: bytes, said: str) -> None:
    with pytest.raises(BadDataError, match=said):
        load(name, content)


def test_a_line_in_another_encoding_is_named_and_the_rest_is_kept(load: Load) -> None:
    for name, content in (("q.csv", b"question\na\n\xff\nb\n"), ("q.txt", b"c\na\n\xff\nb\n")):
        data = load(name, content)
        assert [str(problem) for problem in data.problems] == ["line 3 is not UTF-8 text"]
        assert [question.text for question in data.questions][-2:] == ["a", "b"]


# --- golds


@pytest.mark.parametrize(
    ("lines", "golds", "options"),
    [
        ([{"question": "a", "answer": 1}, {"question": "b"}], ["1", None], {}),
        ([{"question": "a"}, {"question": "b"}], [None, None], {}),
        (
            [{"question": "a", "answer": 1}, {"question": "b", "answer": 2}],
            [None, None],
            {"answer_field": None},
        ),
        (
            [{"question": "a", "gold": 1}, {"question": "b", "gold": None}],
            ["1", None],
            {"answer_field": "gold"},
        ),
    ],
)
def test_golds_are_optional(
    load: Load, lines: list[dict[str, object]], golds: list[str | None], options: dict[str, object]
) -> None:
    data = load("q.jsonl", "\n".join(map(json.dumps, lines)), **options)
    assert [question.gold for question in data.questions] == golds
    assert data.problems == [] and data.notes == []


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv"])
def test_a_field_that_may_hold_the_golds_is_proposed_and_not_read(load: Load, name: str) -> None:
    content = '{"question": "a", "Target": "5"}' if name == "q.jsonl" else "question,Target\na,5\n"
    data = load(name, content)
    assert pairs(data) == [("a", None)]
    (note,) = data.notes
    assert "'question', 'Target'" in note and "task.answer_field=Target" in note
    assert pairs(load(name, content, answer_field="Target")) == [("a", "5")]


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv"])
@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        (["q", "a"], {}, r"no field 'question'; its fields are 'q', 'a'.*task\.question_field=q\b"),
        (["Question", "x"], {}, r"task\.question_field=Question"),
        (["my question"], {}, r"no field 'question'; its fields are 'my question'"),
        (
            ["question", "a"],
            {"answer_field": "gold"},
            r"no field 'gold'; its fields are 'question', 'a'.*task\.answer_field=a\b",
        ),
        (
            ["question", "one", "two"],
            {"answer_field": "gold"},
            r"set task\.answer_field to the one that is meant",
        ),
        (["Body", "b"], {"question_field": "Body,Question"}, r"no field 'Question'"),
        ([f"f{number}" for number in range(40)], {}, r"'f9' and 30 more"),
    ],
)
def test_a_missing_field_names_the_ones_that_are_there(
    load: Load, name: str, fields: list[str], options: dict[str, object], said: str
) -> None:
    row = dict.fromkeys(fields, "5")
    content = (
        json.dumps(row) if name == "q.jsonl" else f"{','.join(row)}\n{','.join(row.values())}\n"
    )
    with pytest.raises(BadDataError, match=said):
        load(name, content, **options)


def test_questions_without_golds_are_split_by_their_hash(load: Load) -> None:
    text = "\n".join(f"What is {number}?" for number in range(300))
    found = {
        split: {q.text for q in load("q.txt", text, split=split).questions}
        for split in ("train", "validation", "test")
    }
    assert all(
        split_of_text(question) == split
        for split, questions in found.items()
        for question in questions
    )
    assert sum(map(len, found.values())) == len(load("q.txt", text).questions) == 300


# --- CSV


def test_a_broken_row_is_named_by_its_first_line_and_the_rest_is_kept(load: Load) -> None:
    rows = [
        "question,answer",
        '"one',
        'line more",1',
        "short",
        "a,b,c",
        ",,",
        '"x"y,2',
        "",
        ",3",
        "last,4",
        "last,4",
    ]
    data = load("q.csv", "\n".join(rows))
    assert pairs(data) == [("one\nline more", "1"), ("last", "4")]
    assert [question.metadata["line"] for question in data.questions] == [2, 10]
    assert [problem.line for problem in data.problems] == [4, 5, 7, 9, 11]
    reasons = [problem.reason for problem in data.problems]
    assert "1 cells and the header 2" in reasons[0] and "3 cells" in reasons[1]
    assert "repeats the question of line 10" in reasons[-1]


def test_a_quote_that_is_never_closed_is_refused(load: Load) -> None:
    with pytest.raises(BadDataError, match="opens with a quote on line 3"):
        load("q.csv", 'question\none\n"two\nthree\nfour\n')


def test_cells_may_be_long_and_blanks_may_stand_around_them(load: Load) -> None:
    long = "word " * 100_000
    limit = csv.field_size_limit()
    assert pairs(load("q.csv", f' question , answer\n "{long}", 5 \n')) == [(long.strip(), "5")]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "mark", "options"),
    [("q.tsv", "\t", {}), ("q.csv", ";", {"delimiter": ";"}), ("q.csv", "|", {"delimiter": "|"})],
)
def test_cells_are_separated_by_what_is_asked_for(
    load: Load, name: str, mark: str, options: dict[str, str]
) -> None:
    assert pairs(load(name, f"question{mark}answer\na, b{mark}5\n", **options)) == [("a, b", "5")]


@pytest.mark.parametrize("mark", [";", "|"])
def test_another_separator_is_proposed(load: Load, mark: str) -> None:
    with pytest.raises(BadDataError, match=rf'task\.delimiter="\{mark}"'):
        load("q.csv", f"question{mark}answer\na{mark}5\n")


def test_two_columns_of_one_name_are_refused_where_they_are_read(load: Load) -> None:
    assert pairs(load("q.csv", "question,x,x\na,1,2\n")) == [("a", None)]
    with pytest.raises(BadDataError, match="two fields 'answer'"):
        load("q.csv", "question,answer,answer\na,1,2\n")


# --- the wrong task


@pytest.mark.parametrize(
    ("name", "content", "task", "proposed"),
    [
        ("q.csv", "question,answer\na,5\n", "jsonl", "task=csv"),
        ("q.txt", "What is 2 + 2?\n", "jsonl", "task=text"),
        ("q.jsonl", '{"question": "a"}\n', "csv", "task=jsonl"),
        ("q.jsonl", '{"question": "a"}\n', "text", "task=jsonl"),
        ("q.CSV", "question\na\n", "text", "task=csv"),
    ],
)
def test_a_file_for_another_task_proposes_it(
    load: Load, name: str, content: str, task: str, proposed: str
) -> None:
    with pytest.raises((BadDataError, ValueError), match=f"{proposed}$|{proposed}[,;]"):
        load(name, content, task=task)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ('[{"question": "a"}, {"question": "b", "answer": 1}]', 0),
        ('[\n {"question": "a"},\n {"question": "b", "answer": 1}\n]\n', 0),
        ('[{"question": "a"}, 3, {"question": "b", "answer": 1}, [], {}]', 3),
    ],
)
def test_a_json_array_is_read_whole(load: Load, content: str, problems: int) -> None:
    data = load("q.json", content)
    assert pairs(data) == [("a", None), ("b", "1")] and len(data.problems) == problems


def test_an_array_that_is_cut_off_loses_no_line_in_silence(load: Load) -> None:
    data = load("q.json", '[\n{"question": "a"},\n{"question": "b"}\n')
    assert [problem.line for problem in data.problems] == [1, 2]
