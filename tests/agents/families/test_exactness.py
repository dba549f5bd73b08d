"""Checkers against naive references."""

import itertools
import random
from fractions import Fraction

import pytest

from agents.families import FAMILIES, recognise_question
from agents.families.arithmetic import (
    ExpressionError,
    evaluate_exactly,
    join_expressions,
    parse_expression,
)
from agents.families.base import read_whole_number
from agents.families.countdown import CountdownProblem, reachable
from agents.families.locks import Lock, LocksProblem
from agents.families.running import render_expression


def _naively_reachable(numbers: list[int], target: int) -> bool:
    if len(numbers) == 1:
        return numbers[0] == target
    for a, b in itertools.permutations(range(len(numbers)), 2):
        rest = [n for i, n in enumerate(numbers) if i not in (a, b)]
        x, y = numbers[a], numbers[b]
        values = [
            x + y,
            x * y,
            *([x - y] if x >= y else []),
            *([x // y] if y and x % y == 0 else []),
        ]
        if any(_naively_reachable([*rest, value], target) for value in values):
            return True
    return False


def test_reachable_equals_naive_search() -> None:
    rng = random.Random(0)
    for _ in range(150):
        numbers = tuple(sorted(rng.randint(1, 12) for _ in range(rng.choice((2, 3, 3, 4)))))
        target = rng.randint(1, 60)
        assert reachable(numbers, target) == _naively_reachable(list(numbers), target)


def test_expression_value_equals_python() -> None:
    rng = random.Random(1)
    for _ in range(300):
        problem = FAMILIES["running"].generate(rng, rng.choice((1, 2)))
        text = problem.text.removeprefix("Compute ").removesuffix(".")
        assert int(problem.answer) == eval(text)
        assert render_expression(parse_expression(text)) == text
        assert evaluate_exactly(text)[0] == Fraction(eval(text))


def test_modular_chain_equals_python() -> None:
    rng = random.Random(2)
    for _ in range(100):
        problem = FAMILIES["running"].generate(rng, 3)
        start, *chain = (
            problem.text.removesuffix(".").split("start with ")[1].replace("then ", "").split(", ")
        )
        value = int(start)
        for operation in chain:
            value = eval(f"{value} {operation}") % 31
        assert value == int(problem.answer)


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1 + 2", "1 2", "2 ** 3", "x + 1", "1 // 2", "-(3)", "1" + " + 1" * 300]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)


def test_joined_expressions_keep_their_value() -> None:
    rng = random.Random(3)
    for _ in range(500):
        parts = ["3", "4 + 5", "12 - 2", "6 * 2", "8 / 2", "(1 + 2) * (7 - 3)", "9 - (2 + 1)"]
        left, right, operator = rng.choice(parts), rng.choice(parts), rng.choice("+-*/")
        expected = evaluate_exactly(f"({left}) {operator} ({right})")[0]
        assert evaluate_exactly(join_expressions(left, operator, right))[0] == expected


def test_lock_truth_equals_definition() -> None:
    rng = random.Random(4)
    for level in FAMILIES["locks"].levels:
        problem = FAMILIES["locks"].generate(rng, level)
        assert isinstance(problem, LocksProblem)
        first = problem.locks[0]
        for code in range(first.num_codes + 2):
            chosen = [n for bit, n in enumerate(first.numbers) if code >> bit & 1]
            right = 0 < code < first.num_codes and sum(chosen) == (first.call + problem.start) % 100
            assert problem.check_steps([f"A = {code}"])[0].right == right


def test_lock_working_shows_target_and_running_sum() -> None:
    problem = LocksProblem.of(7, [Lock(4, (19, 12, 8, 4))])
    assert problem is None, "7 + 4 = 11 is no subset sum of 19 12 8 4"
    problem = LocksProblem.of(7, [Lock(16, (19, 12, 8, 4))])
    assert problem is not None
    assert problem.solution(random.Random(0)) == ["A = 9", "Answer: 9"]
    assert problem.working([], "A = 9") == "23 : 19 4 23"
    assert problem.working([], "A = 7") == "23 : 19 12 31 8 39"
    assert problem.working(["A = 9"], "Answer: 9") == "9"


def test_locks_answer_is_judged_as_its_codes_stand() -> None:
    problem = FAMILIES["locks"].generate(random.Random(5), 2)
    steps = problem.solution(random.Random(0))
    wrong = problem.wrong_step(random.Random(1), steps[:1])
    total = int(steps[0].split("= ")[1]) + int(wrong.split("= ")[1])
    truths = problem.check_steps([steps[0], wrong, f"Answer: {total}"])
    assert [truth.right for truth in truths] == [True, False, True]
    assert [truth.solvable for truth in truths] == [True, False, False]


def test_countdown_answer_is_judged_by_its_value_and_its_numbers() -> None:
    problem = recognise_question("Use the numbers 3, 7, 11 and 25 to make 57.")
    assert isinstance(problem, CountdownProblem)
    assert problem.is_correct("(25 - 7) * 3 + 11 - 8 + 0") is False
    assert problem.is_correct("25 * 3 - 7 - 11")
    assert problem.is_correct("25 * 3 - (7 + 11) = 57")
    assert not problem.is_correct("25 + 25 + 7")
    assert not problem.is_correct("57")
    assert not problem.is_correct("__import__('os')")
    fractions = CountdownProblem.of([1, 5, 5, 5], 24)
    assert fractions.answer == "", "whole-numbered steps do not reach 24 = 5 * (5 - 1 / 5)"
    assert fractions.is_correct("5 * (5 - 1 / 5)")


def test_countdown_dead_end_is_right_but_not_solvable() -> None:
    problem = recognise_question("Use the numbers 3, 7, 11 and 25 to make 57.")
    assert problem is not None
    unsolvable, slip, good = (
        problem.check_steps(["25 / 25 = 1 ; left 1"])[0],
        problem.check_steps(["25 + 7 = 33 ; left 3 11 33"])[0],
        problem.check_steps(["25 * 3 = 75 ; left 7 11 75"])[0],
    )
    assert not unsolvable.right and not slip.right and good.right and good.solvable
    legal = problem.check_steps(["11 * 7 = 77 ; left 3 25 77"])[0]
    assert legal.right and legal.solvable == reachable((3, 25, 77), 57)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("57", 57),
        ("-4", -4),
        ("- 4", -4),
        ("1,250", 1250),
        ("12 .", 12),
        ("x", None),
        ("1.5", None),
        ("", None),
        ("9" * 50, None),
    ],
)
def test_whole_numbers_are_read(text: str, value: int | None) -> None:
    assert read_whole_number(text) == value
