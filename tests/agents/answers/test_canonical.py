"""Canonical forms: equal answers get equal strings, different ones do not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers import TASK_KINDS, canonical, canonical_form, read_number
from agents.answers.values.numbers import write_number


@pytest.mark.parametrize(
    ("same", "form"),
    [
        (
            [
                "1,234.50",
                "1234.5",
                "$1,234.50",
                "\\$1,234.50",
                "1234.500 dollars",
                "$1234.5$",
                "x = 1234.5",
                "She pays $1,234.50 in all.",
            ],
            "1234.5",
        ),
        (["1/2", "0.5", ".5", "\\frac{1}{2}", "\\frac12", "\\dfrac{1}{2}", "+0.50", "3/6"], "0.5"),
        (
            [
                "57",
                "57.",
                "57.0",
                "**57**",
                "57 eggs",
                "\\boxed{57}",
                "48 + 9 = 57",
                "Total = 57 eggs",
                "57%",
                "57\\%",
                "57^\\circ",
            ],
            "57",
        ),
        (["-5", "- 5", "−5", "-$5", "$-5", "it costs -5 dollars"], "-5"),
        (["1/3", "2/6", "\\frac{1}{3}"], "1/3"),
        (["3 1/2", "3\\frac{1}{2}", "3.5", "7/2"], "3.5"),
        (["0", "-0", "0.0", "$0"], "0"),
        (
            [
                "2000000",
                "2e6",
                "2 million",
                "two million",
                "2 \\times 10^6",
                "２,０００,０００",
                "2 000 000",
                "It costs $2 million",
            ],
            "2000000",
        ),
        (["1,450,000", "1450000", "1{,}450{,}000", "1,\\!450,\\!000"], "1450000"),
    ],
)
def test_one_number_has_one_form(same: list[str], form: str) -> None:
    assert {canonical_form(answer, "number") for answer in same} == {form}


@pytest.mark.parametrize(
    "answer",
    [
        "18 or 57",
        "not 18",
        "18 eggs and 3 hens",
        "5x",
        "5 \\pi",
        "n - 5",
        "5 - 3",
        "A1 costs 5",
        "3:30",
        "2/0",
        "1, 2",
        "1,23",
        "5!",
        "x^5",
        "",
        "eighteenth",
    ],
)
def test_what_states_no_single_number_is_no_number(answer: str) -> None:
    assert read_number(answer, "number") is None


def test_a_phrase_is_a_number_only_where_numbers_are_expected() -> None:
    phrase = "Janet makes $18 every day"
    assert [canonical_form(phrase, kind) for kind in ("number", "math", "text")] == [
        "18",
        phrase,
        phrase,
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p - q", "p-q"),
        ("\\left(3, \\dfrac{\\pi}{2}\\right)", "(3,\\frac{\\pi}{2})"),
        ("11\\sqrt2", "$11 \\sqrt{2}$"),
        ("\\text{Evelyn}", "Evelyn."),
        ("3 * (7 + 2)", "3*(7+2)"),
        ("1,-2", "1, -2"),
    ],
)
def test_spellings_of_one_expression_are_one_vote(one: str, other: str) -> None:
    assert canonical_form(one, "math") == canonical_form(other, "math")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1, 234", "1234"),
        ("x y", "xy z"),
        ("\\frac{2}{3}^2", "2/3^2"),
        ("10^\\frac{1}{2}", "10^1/2"),
        ("(1,2]", "(1,2)"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 2 \\end{pmatrix}"),
    ],
)
def test_different_expressions_are_different_votes(one: str, other: str) -> None:
    assert canonical_form(one, "math") != canonical_form(other, "math")


def test_text_keeps_leading_zeros_and_letters() -> None:
    assert canonical("0101", "reasoning_gym") == "0101"
    assert canonical("  a  B ", "reasoning_gym") == "a B"
    assert canonical("1,000", "reasoning_gym") == "1000"


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="TASK_ANSWERS"):
        canonical("5", "nonsense")


_PIECES = st.sampled_from(
    [
        "1",
        "5",
        ",",
        ".",
        "/",
        "-",
        " ",
        "$",
        "=",
        "\\frac",
        "{",
        "}",
        "x",
        "or",
        "eggs",
        "\\text{",
        "\\boxed{",
        "^",
        "%",
        "\\",
        "(",
        "0",
        "−",
        "\\,",
        "**",
    ]
)


@given(
    st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=15).map("".join)),
    st.sampled_from(sorted(TASK_KINDS)),
)
def test_canonical_is_idempotent(answer: str, task: str) -> None:
    form = canonical(answer, task)
    assert canonical(form, task) == form


@given(st.fractions(), st.sampled_from(["number", "math"]))
def test_a_written_number_is_read_back(value: Fraction, kind: str) -> None:
    assert read_number(write_number(value), kind) == value  # type: ignore[arg-type]


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_every_spelling_of_an_integer_is_that_integer(value: int) -> None:
    for spelling in (
        f"{value}",
        f"{value:,}",
        f"${value:,}$",
        f"{value}.00",
        f"x = {value}",
        f"the total is {value} eggs",
    ):
        assert canonical_form(spelling, "number") == str(value)


@pytest.mark.parametrize("piece", ["1", "1,", "\\frac", "$", "{", "a ", "1/", "(", "=", "\\boxed{"])
def test_a_hundred_thousand_characters_do_not_hang(piece: str) -> None:
    for kind in ("number", "math", "text"):
        canonical_form(piece * (100_000 // len(piece)), kind)
        canonical_form(piece * (900 // len(piece)), kind)
