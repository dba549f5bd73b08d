"""When two answers are equal: a labelled table of pairs, laws, and texts that must not
hang.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.answers import TASK_KINDS, AnswerChecker, MathChecker, canonical_form, checker_for
from agents.answers.values.compare import equal_answers
from agents.types import Question

PAIRS = Path(__file__).with_name("pairs.jsonl")
CASES = Path(__file__).parents[3].parent / "shared" / "cases" / "answer_equal.jsonl"

REFUSED: frozenset[tuple[str, str]] = frozenset()
"""Equal pairs of the table, as (gold, answer), that the checker is known to refuse."""


class Pair(NamedTuple):
    """One row of the table."""

    task: str
    gold: str
    answer: str
    equal: bool


def read_pairs(path: Path) -> list[Pair]:
    with path.open() as lines:
        return [Pair(*(row[name] for name in Pair._fields)) for row in map(json.loads, lines)]


@pytest.fixture(scope="module")
async def checkers() -> AsyncIterator[dict[str, AnswerChecker]]:
    tasks = {pair.task for pair in read_pairs(PAIRS)} | {"svamp"}
    made = {task: checker_for(task) for task in tasks}
    yield made
    for checker in made.values():
        await checker.close()


async def failures(
    pairs: list[Pair], checkers: dict[str, AnswerChecker]
) -> tuple[list[Pair], list[Pair]]:
    """Returns the pairs that are wrongly taken for equal, and those that are wrongly
    refused.
    """
    results = await asyncio.gather(
        *(
            checkers[pair.task].check(
                Question(text="What is it?", gold=pair.gold, task=pair.task), pair.answer
            )
            for pair in pairs
        )
    )
    found = list(zip(pairs, results, strict=True))
    assert all(result.correct is not None for _, result in found)
    return (
        [pair for pair, result in found if result.correct and not pair.equal],
        [pair for pair, result in found if not result.correct and pair.equal],
    )


async def test_the_table_has_no_false_positive(checkers: dict[str, AnswerChecker]) -> None:
    pairs = read_pairs(PAIRS)
    equal = sum(pair.equal for pair in pairs)
    assert len(pairs) >= 300 and len(set(pairs)) == len(pairs)
    assert 0.4 < equal / len(pairs) < 0.6
    assert len(REFUSED) <= equal // 50
    false_positives, false_negatives = await failures(pairs, checkers)
    assert false_positives == []
    assert {(pair.gold, pair.answer) for pair in false_negatives} == REFUSED


async def test_at_least_95_percent_of_the_external_cases_are_right(
    checkers: dict[str, AnswerChecker],
) -> None:
    if not CASES.exists():
        pytest.skip("the external case file is not beside the repository")
    pairs = read_pairs(CASES)
    assert sum(map(len, await failures(pairs, checkers))) <= 0.05 * len(pairs)


async def test_equality_of_the_table_is_symmetric_and_reflexive() -> None:
    for task, gold, answer, _ in read_pairs(PAIRS):
        kind = TASK_KINDS[task]
        assert equal_answers(gold, gold, kind) is True
        # in the other kind a phrase is read for the answer only
        if kind == "math" and len(answer) > 1:
            assert equal_answers(f" {answer} ", answer, kind) is True


def test_pairs_of_one_canonical_form_are_equal() -> None:
    for task, gold, answer, equal in read_pairs(PAIRS):
        form = canonical_form(gold, TASK_KINDS[task])
        if form and form == canonical_form(answer, TASK_KINDS[task]):
            assert equal or (gold, answer) in KEPT_APART, (gold, answer)


KEPT_APART = {("x=5", "y=5"), ("30 degrees", "30 radians")}
"""One vote, though a gold that states the name or the unit tells them apart."""

_VALUES = st.fractions(max_denominator=10**6)


@given(_VALUES, _VALUES, st.sampled_from(["number", "math"]))
def test_exact_numbers_are_equal_exactly_when_their_fractions_are(
    one: Fraction, other: Fraction, kind: str
) -> None:
    spellings = (f"{one}", f"\\frac{{{one.numerator}}}{{{one.denominator}}}", f"$ {one} $")
    for spelling in spellings:
        assert equal_answers(spelling, f"{one}", kind) is True  # type: ignore[arg-type]
        assert equal_answers(spelling, f"{other}", kind) is (one == other)  # type: ignore[arg-type]
        assert equal_answers(f"{other}", spelling, kind) is (one == other)  # type: ignore[arg-type]


@given(st.integers(2, 10**9), st.integers(3, 10**5), st.integers(8, 30))
def test_a_decimal_equals_its_fraction_only_if_every_digit_is_right(
    top: int, bottom: int, digits: int
) -> None:
    value = Fraction(top, bottom)
    shift = digits - len(str(top // bottom)) if top >= bottom else digits + len(str(bottom // top))
    places = max(shift, 1)
    whole = round(value * 10**places)
    if len(str(whole)) < 8 or value * 10**places == whole:
        return

    def decimal(number: int) -> str:
        text = str(number).rjust(places + 1, "0")
        return f"{text[:-places]}.{text[-places:]}"

    gold = f"{top}/{bottom}"
    assert equal_answers(gold, decimal(whole), "math") is True
    wrong = whole + (2 if whole > value * 10**places else -2)
    if len(str(whole)) < 15:  # else the noise of floating point is tolerated
        assert equal_answers(gold, decimal(wrong), "math") is False


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5), st.permutations(range(5)))
def test_tuples_are_ordered_and_sets_are_not(items: list[int], order: list[int]) -> None:
    shuffled = [items[place] for place in order if place < len(items)]
    texts = [", ".join(map(str, each)) for each in (items, shuffled)]
    assert equal_answers(f"\\{{{texts[0]}\\}}", f"\\{{{texts[1]}\\}}", "math") is True
    assert equal_answers(f"({texts[0]})", f"({texts[1]})", "math") is (items == shuffled)
    assert equal_answers(f"({texts[0]})", f"\\{{{texts[1]}\\}}", "math") is False


_TOKENS = (
    "1 5 0 , . / - + % $ ( ) [ ] { } ^ _ = < > x e ! : ° ² ½ √ π € × １ ≤ \\frac \\sqrt \\pm "
    "\\infty \\cup \\in \\text{ \\boxed{"
    " \\{ \\} or and six million km AM Jan 2024 \\le \u200b ✅ \ud800 | &"
)
_PIECES = st.lists(st.sampled_from([" ", *_TOKENS.split(" ")]), max_size=14).map("".join)


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.one_of(st.text(max_size=40), _PIECES),
    st.one_of(st.text(max_size=40), _PIECES),
    st.sampled_from(["number", "math", "text"]),
)
def test_no_two_texts_make_the_comparison_raise(gold: str, answer: str, kind: str) -> None:
    assert equal_answers(gold, answer, kind) in (True, False, None)  # type: ignore[arg-type]
    assert equal_answers(gold, gold, kind) is True  # type: ignore[arg-type]
    form = canonical_form(answer, kind)
    assert canonical_form(form, kind) == form


HOSTILE = [
    *(
        piece * (100_000 // len(piece))
        for piece in ("{", "\\frac{", "(", "1,", "9", "^{9", "\\boxed{", "-", "√", "$", "x", "½")
    ),
    *(
        piece * (990 // len(piece))
        for piece in (
            "{",
            "\\frac{",
            "(",
            "1,",
            "9",
            "9^",
            "^{9",
            "\\boxed{",
            "- ",
            "√",
            "$",
            "x",
            "½",
            "a ",
            "!",
        )
    ),
    *(
        "9" * 5000,
        "0." + "9" * 990,
        "9^{9^{9^{9}}}",
        "9" * 990 + "!",
        "1e999",
        "10^{999}",
        "(1/3)^{999999}",
        "2^{-99999999}",
        "\ud800",
        "\x00",
    ),
    *(
        "\\sqrt[99999999]{2}",
        "|" * 900,
        "1/0",
        "0^0",
        "5!!!!!!!",
        "\\binom{99999999}{5000}",
        "\\pm" * 300,
        "six " * 200,
        ", ".join(["x"] * 300),
    ),
]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
async def test_a_hostile_text_gets_a_result(place: int, checkers: dict[str, AnswerChecker]) -> None:
    text = HOSTILE[place]
    for task, gold in (
        ("gsm8k", "18"),
        ("math500", "\\sqrt{2}"),
        ("math500", "(1,2)"),
        ("jsonl", "Paris"),
        ("svamp", "5"),
    ):
        assert (
            await checkers[task].check(Question(text="q", gold=gold, task=task), text)
        ).outcome == "wrong"
    assert (
        await checkers["math500"].check(Question(text="q", gold=text, task="math500"), text)
    ).outcome == "correct"


async def test_plain_values_need_no_process() -> None:
    checker = MathChecker(function="tests.agents.answers.broken:nothing")
    for gold, answer in (
        *(
            ("18", "19"),
            ("5 km", "5 m"),
            ("\\frac{1}{3}", "0.33"),
            ("Paris", "Rome"),
            ("(1,2)", "(2,1)"),
        ),
        *(
            ("[1,2)", "1 \\le x<2"),
            ("\\{1,2\\}", "2,1"),
            ("2024-01-05", "5 January 2024"),
            ("10!", "3628800"),
        ),
    ):
        result = await checker.check(Question(text="q", gold=gold, task="math500"), answer)
        assert result.outcome in ("correct", "wrong"), (gold, answer)
    await checker.close()


@pytest.mark.parametrize(
    ("question", "equal"),
    [("What percent of them is red?", True), ("What share of them is red?", False)],
)
async def test_a_bare_number_is_a_percentage_where_one_is_asked_for(
    question: str, equal: bool, checkers: dict[str, AnswerChecker]
) -> None:
    for gold, answer in (("50\\%", "50"), ("50", "50%")):
        asked = Question(text=question, gold=gold, task="math500")
        assert (await checkers["math500"].check(asked, answer)).correct is equal
