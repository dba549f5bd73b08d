"""The conformance suite of `AnswerChecker`, and the truth tables of each checker."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.answers import AnswerChecker, ExactChecker, MathChecker, checker_for
from agents.families import FAMILIES
from agents.types import Question


def gym_question(dataset: str, *, index: int = 0, **parameters: Any) -> Question:
    import reasoning_gym

    from graphs.tasks.reasoning_gym import to_json

    entry = reasoning_gym.create_dataset(dataset, size=10, seed=1, **parameters)[index]
    metadata = {"dataset": dataset, "entry": to_json(entry["metadata"])}
    return Question(
        text=entry["question"], gold=entry["answer"], task="reasoning_gym", metadata=metadata
    )


def pocket_question(family: str) -> Question:
    problem = FAMILIES[family].generate(random.Random(0), FAMILIES[family].levels[0])
    return Question(text=problem.text, gold=problem.answer, task="pocket")


GYM = ("countdown", "chain_sum", "spell_backward", "knights_knaves", "puzzle24")
CASES: dict[str, tuple[str, list[Question]]] = {
    "gsm8k": (
        "gsm8k",
        [Question(text="q", gold="18", task="gsm8k"), Question(text="q", gold="0.5", task="gsm8k")],
    ),
    "svamp": ("svamp", [Question(text="q", gold="145", task="svamp")]),
    "multiarith": ("multiarith", [Question(text="q", gold="39", task="multiarith")]),
    "math500": (
        "math500",
        [Question(text="q", gold="\\left( 3, \\frac{\\pi}{2} \\right)", task="math500")],
    ),
    "jsonl": (
        "jsonl",
        [
            Question(text="q", gold=gold)
            for gold in ("\\frac{\\pi}{2}", "\\text{east}", "1 \\pm \\sqrt{19}", "52_8")
        ],
    ),
    "pocket": ("pocket", [pocket_question(family) for family in FAMILIES]),
    "user": ("user", [Question(text="What is it?", gold="42")]),
    "reasoning_gym": (
        "reasoning_gym",
        [gym_question(name) for name in GYM],
    ),
}


@pytest.fixture(scope="module", params=[*CASES, "exact"])
async def case(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[AnswerChecker, list[Question]]]:
    exact: AnswerChecker = ExactChecker("number")
    task, questions = CASES.get(request.param, ("gsm8k", CASES["gsm8k"][1]))
    checker = exact if request.param == "exact" else checker_for(task)
    yield checker, questions
    await checker.close()
    await checker.close()


async def test_the_gold_answer_is_correct(case: tuple[AnswerChecker, list[Question]]) -> None:
    checker, questions = case
    assert isinstance(checker, AnswerChecker)
    for question in questions:
        assert question.gold is not None
        assert (await checker.check(question, question.gold)).correct is True
        assert (await checker.check(question, f" {question.gold} ")).correct is True


async def test_an_empty_or_endless_answer_is_wrong(
    case: tuple[AnswerChecker, list[Question]],
) -> None:
    checker, questions = case
    for question in questions:
        for answer in ("", " \n", "9" * 100_000, "what?"):
            result = await checker.check(question, answer)
            assert result.correct is False
            assert (result.outcome == "no_answer") is (not answer.strip())


async def test_without_a_gold_answer_nobody_knows(
    case: tuple[AnswerChecker, list[Question]],
) -> None:
    checker, _ = case
    result = await checker.check(Question(text="How long is a piece of string?"), "5")
    assert result.correct is None
    assert result.outcome in ("no_gold", "failed")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(answer=st.text(max_size=40))
@pytest.mark.parametrize("task", ["pocket", "reasoning_gym", "user"])
async def test_no_text_makes_a_check_raise(task: str, answer: str) -> None:
    checker = checker_for(task)
    for question in CASES[task][1]:
        assert (await checker.check(question, answer)).outcome in ("correct", "wrong", "no_answer")


def test_an_unknown_task_has_no_checker() -> None:
    with pytest.raises(
        ValueError,
        match="gsm8k, svamp, multiarith, math500, jsonl, csv, text, pocket, user, reasoning_gym",
    ):
        checker_for("nonsense")


@pytest.fixture(scope="module")
async def math() -> AsyncIterator[MathChecker]:
    checker = MathChecker(size=1, timeout_s=60)
    yield checker
    await checker.close()


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("0.5", "1/2", True),
        ("1000", "1,000", True),
        ("70,000", "$70000", True),
        ("5", "$5", True),
        ("50", "50%", False),  # the question does not ask for a percentage
        ("0.5", "50%", True),
        ("57", "57.", True),
        ("3", "x = 3", True),
        ("18", "18 eggs", True),
        ("18", "She makes $18 every day", True),
        ("72", "48 + 24 = 72", True),
        ("72", "48 + 24 = 73", False),
        ("18", "18 or 57", False),
        ("18", "57 or 18", False),
        ("18", "not 18", False),
        ("18", "eighteen", True),
        ("18", "180", False),
        ("18", "-18", False),
        ("5", "5 million", False),
        ("5", "5x", False),
        ("2\\sqrt{2}", "\\sqrt{8}", True),
        ("\\frac{3}{56}", "3/56", True),
        ("(3,\\frac{\\pi}{2})", "(3, \\pi/2)", True),
        ("x \\in [-2,7]", "[-2,7]", True),
        ("1,-2", "-2,1", True),
        ("6 - 5i", "6+5i", False),
        ("(3,4]", "(3,4)", False),
        ("\\text{east}", "East", True),
        ("\\text{east}", "seat", False),  # as products of letters they are equal
        ("3", "{{{{", False),
    ],
)
async def test_mathematical_answers(
    math: MathChecker, gold: str, answer: str, correct: bool
) -> None:
    assert (await math.check(Question(text="q", gold=gold), answer)).correct is correct


async def test_a_hanging_check_is_killed_and_never_correct() -> None:
    checker = MathChecker(size=1, timeout_s=0.3, function="tests.agents.answers.broken:hang")
    result = await checker.check(Question(text="q", gold="\\sqrt{8}"), "2\\sqrt{2}")
    assert (result.outcome, result.correct) == ("timed_out", None)
    # needs no process
    assert (await checker.check(Question(text="q", gold="\\sqrt{8}"), "\\sqrt8")).correct is True
    await checker.close()


async def test_a_check_whose_process_dies_has_failed() -> None:
    checker = MathChecker(size=1, function="tests.agents.answers.broken:nothing")
    result = await checker.check(Question(text="q", gold="\\sqrt{8}"), "2\\sqrt{2}")
    assert (result.outcome, result.correct) == ("failed", None)
    await checker.close()


async def test_what_the_gym_scorer_credits_in_part_is_wrong() -> None:
    from agents.answers.checkers.gym_checker import score_entry

    checker = checker_for("reasoning_gym")
    partly = 0
    for dataset in (
        "leg_counting",
        "simple_equations",
        "spell_backward",
        "gsm_symbolic",
        "knights_knaves",
    ):
        question = gym_question(dataset)
        assert question.gold is not None
        for answer in (
            f"{question.gold} or 5",
            f"The answer may be {question.gold}",
            question.gold + "1",
            "999",
        ):
            entry = {
                "question": question.text,
                "answer": question.gold,
                "metadata": question.metadata["entry"],
            }
            partly += score_entry(dataset, answer, entry) > 0.05
            assert (await checker.check(question, answer)).correct is False, (dataset, answer)
    assert partly >= 5  # otherwise this test shows nothing


async def test_gym_numbers_may_be_spelled_freely_and_strings_may_not() -> None:
    checker = checker_for("reasoning_gym")
    number = Question(text="q", gold="1234", metadata={"dataset": "leg_counting", "entry": {}})
    assert (await checker.check(number, "1,234.")).correct is True
    bits = Question(
        text="q", gold="0101", metadata={"dataset": "spell_backward", "entry": {"word": "1010"}}
    )
    assert (await checker.check(bits, "0101")).correct is True
    assert (await checker.check(bits, "101")).correct is False
    decimal = Question(
        text="q", gold="5.0", metadata={"dataset": "spell_backward", "entry": {"word": "0.5"}}
    )
    # one number, but the scorer gives it part of the credit
    assert (await checker.check(decimal, "5")).correct is False


async def test_the_gyms_simplest_fraction_must_be_simplified() -> None:
    checker = checker_for("reasoning_gym")
    question = gym_question("fraction_simplification", styles=("plain",))
    assert question.gold is not None
    numerator, denominator = question.gold.split("/")
    assert (await checker.check(question, question.gold)).correct is True
    assert (
        await checker.check(question, f"{2 * int(numerator)}/{2 * int(denominator)}")
    ).correct is False


# LaTeX, and signs: what chat models write
_ONLY_OF_THE_GYM = ("7 \\times 3 + 25 + 11", "-11 + 25 * 3 - 7")


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("25 + 3 + 7 * 4", False),
        ("25 + 7 * (11 - 3)", False),
        ("(25 - 3 * 2) * 3", False),
        ("3 * (25 - 7 + 1)", False),
        ("(25 + 11) / 3 * 7 - 27", False),
        ("25 + 11 + 3 * 7", True),
        ("7 * 3 + 25 + 11 = 57", True),
        ("7 * 3 + 25 + 11 = 58", False),
        ("7 * 3 + 25 + 11 = 57.", True),
        ("7 * 3 + 25 + 11 = 57 = 58", False),
        ("7 * 3 + 25 + 11 = x", False),
        ("7 \\times 3 + 25 + 11", True),
        ("-11 + 25 * 3 - 7", True),
        ("25 + 11 + 21", False),
        ("57", False),
        ("__import__('os').abort()", False),
        ("25 / 0 + 3 + 7 + 11", False),
    ],
)
async def test_countdown_is_evaluated_exactly(answer: str, correct: bool) -> None:
    checker = checker_for("reasoning_gym")
    entry = {"numbers": [3, 7, 11, 25], "target": 57}
    question = Question(
        text="q", gold="25 + 11 + 3 * 7", metadata={"dataset": "countdown", "entry": entry}
    )
    assert (await checker.check(question, answer)).correct is correct
    if answer not in _ONLY_OF_THE_GYM:
        family = Question(text="Use the numbers 3, 7, 11 and 25 to make 57.", task="pocket")
        assert (await checker_for("pocket").check(family, answer)).correct is correct, (
            "both checkers agree"
        )


async def test_a_family_accepts_every_right_answer_and_needs_no_gold() -> None:
    checker = checker_for("user")
    question = Question(text="Use the numbers 3, 7, 11 and 25 to make 57.")
    assert (await checker.check(question, "3 * 7 + 11 + 25")).correct is True
    assert (await checker.check(question, "25 + 11 + 7 * 3")).correct is True
    assert (await checker.check(question, "25 + 32")).correct is False
