"""Countdown: combine all given numbers with + - * / to reach a target.

A step is one operation and the numbers left ("25 + 7 = 32 ; left 3 11 32"). So errors
of arithmetic are visible in the thought, but dead ends after legal steps are not.
`solvable` is exact, by brute force over steps with integer results >= 0 and exact
divisions (the steps that the pocket model writes). An *answer* is judged by its value
in exact fractions, whatever the steps before it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

from agents.families.arithmetic import evaluate_exactly, join_expressions
from agents.families.base import (
    ANSWER_PREFIX,
    Family,
    Problem,
    Scope,
    StepTruth,
    read_answer,
    read_whole_number,
)

LARGEST_NUMBER = 25
LARGEST_VALUE = 99

_NUMBERS = r"((?:\d+(?:,? and |, |,| ))+\d+)"
_CANONICAL = re.compile(rf"Use the numbers {_NUMBERS} to make (\d+)\.")
_LIST = rf"(?: all)?(?: of)?(?: the| these)?(?: numbers)?:? {_NUMBERS}"
_REACH = r"(?:make|reach|get|obtain|form)"
_NATURAL = (
    re.compile(
        r"(?:use|using|with|combine)(?: "
        rf"only)?{_LIST},? (?:to )?{_REACH} (\d+)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"{_REACH} (?P<target>\d+) (?:from|with|using|out of){_LIST}", re.IGNORECASE),
    re.compile(rf"Using all the numbers {_NUMBERS}, create an expression that equals (\d+)\."),
    re.compile(rf"Find a way to make (?P<target>\d+) using all of these numbers: {_NUMBERS}\."),
    re.compile(rf"Calculate (?P<target>\d+) using all of these numbers: {_NUMBERS}\."),
)
_NUMBER = r"(\d{1,12})"
_STEP = re.compile(
    rf"{_NUMBER} ([+\-*/]) {_NUMBER} = {_NUMBER} ; left "
    r"((?:\d{1,12} )*\d{1,12})"
)


def results(a: int, b: int) -> list[tuple[str, int]]:
    """Returns the operations on a >= b with integer results >= 0, and those results."""
    found = [("+", a + b), ("-", a - b), ("*", a * b)]
    return [*found, ("/", a // b)] if b and a % b == 0 else found


@lru_cache(maxsize=1 << 18)
def reachable(numbers: tuple[int, ...], target: int) -> bool:
    """Whether steps with integer results >= 0 lead from `numbers` (ascending) to
    `target`, using every number once.
    """
    if len(numbers) == 1:
        return numbers[0] == target
    if len(numbers) == 2:
        return any(value == target for _, value in results(numbers[1], numbers[0]))
    for high in range(len(numbers)):
        for low in range(high):
            rest = numbers[:low] + numbers[low + 1 : high] + numbers[high + 1 :]
            if any(
                reachable(tuple(sorted((*rest, value))), target)
                for _, value in results(numbers[high], numbers[low])
            ):
                return True
    return False


@dataclass(frozen=True)
class _State:
    """The numbers left, each with its expression. None in place of a state: a step
    could not be read.
    """

    left: tuple[tuple[int, str], ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(value for value, _ in self.left)

    def apply(self, a: int, operator: str, b: int, result: int) -> _State | None:
        rest = list(self.left)
        operands: list[str] = []
        for value in (a, b):
            entry = next((entry for entry in rest if entry[0] == value), None)
            if entry is None:
                return None
            rest.remove(entry)
            operands.append(entry[1])
        return _State(
            tuple(sorted([*rest, (result, join_expressions(operands[0], operator, operands[1]))]))
        )


@dataclass(frozen=True)
class CountdownProblem(Problem):
    """Numbers (ascending) and a target."""

    numbers: tuple[int, ...]
    target: int
    derivation: tuple[str, ...] = field(default=(), compare=False)
    """The generator's steps to the target; `next_step` follows them as long as the
    prefix agrees with them."""

    scope: ClassVar[Scope] = "value"

    @classmethod
    def of(
        cls, numbers: Sequence[int], target: int, derivation: Sequence[str] = ()
    ) -> CountdownProblem:
        """Returns the problem in canonical wording; its answer is "" if steps with
        integer results cannot reach the target.
        """
        ordered = tuple(sorted(numbers))
        words = [str(number) for number in ordered]
        text = f"Use the numbers {', '.join(words[:-1])} and {words[-1]} to make {target}."
        problem = cls("countdown", len(ordered), text, "", ordered, target, tuple(derivation))
        solution = problem.solution(random.Random(0))
        answer = read_answer(solution[-1]) if solution else None
        return cls(
            "countdown", len(ordered), text, answer or "", ordered, target, tuple(derivation)
        )

    def _states(self, steps: Sequence[str]) -> list[_State | None]:
        """Returns the state before the first step and after each step. A wrong result
        is used as stated.
        """
        states: list[_State | None] = [
            _State(tuple((number, str(number)) for number in self.numbers))
        ]
        for step in steps:
            match, state = _STEP.fullmatch(step.strip()), states[-1]
            states.append(
                state.apply(int(match[1]), match[2], int(match[3]), int(match[4]))
                if match and state
                else None
            )
        return states

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        done = len(prefix_steps)
        if tuple(prefix_steps) == self.derivation[:done] and done < len(self.derivation):
            return self.derivation[done]
        state = self._states(prefix_steps)[-1]
        if state is None or not reachable(state.numbers, self.target):
            return None
        if len(state.left) == 1:
            return f"{ANSWER_PREFIX} {state.left[0][1]}"
        moves = [move for move in _moves(state.numbers) if reachable(move[4], self.target)]
        small = [move for move in moves if 1 <= move[3] <= LARGEST_VALUE]
        return _step_text(*rng.choice(small or moves))

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        truths: list[StepTruth] = []
        legal = True
        for step, before, after in zip(
            steps, states := self._states(steps), states[1:], strict=False
        ):
            answer = read_answer(step)
            if answer is not None:
                right = self.is_correct(answer)
                truths.append(StepTruth(right, right))
                legal = False  # nothing may follow an answer
                continue
            right = before is not None and after is not None and _is_legal(step, after)
            legal = legal and right
            truths.append(
                StepTruth(
                    right, legal and after is not None and reachable(after.numbers, self.target)
                )
            )
        return truths

    def is_correct(self, answer_text: str) -> bool:
        """Also accepts the target, and only the target, after an equals sign ("25 + 32
        = 57").
        """
        expression, _, stated = answer_text.partition("=")
        if stated.strip() and read_whole_number(stated) != self.target:
            return False
        value, used = evaluate_exactly(expression)
        return value == Fraction(self.target) and Counter(used) == Counter(self.numbers)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """70 % legal steps (many of them dead ends), 20 % with a wrong result, 10 %
        with a wrong number left.
        """
        state = self._states(prefix_steps)[-1]
        if state is None or len(state.left) == 1:
            expression = state.left[0][1] if state else " + ".join(map(str, self.numbers))
            return f"{ANSWER_PREFIX} {_spoil_expression(rng, expression)}"
        moves = _moves(state.numbers)
        a, operator, b, result, left = rng.choice(
            [move for move in moves if 1 <= move[3] <= LARGEST_VALUE] or moves
        )
        draw = rng.random()
        if draw < 0.2:
            slip = max(0, result + rng.choice((-10, -2, -1, 1, 2, 10)))
            rest = list(left)
            rest.remove(result)
            return _step_text(a, operator, b, slip, tuple(sorted([*rest, slip])))
        if draw < 0.3:
            spoiled = list(left)
            spoiled[rng.randrange(len(spoiled))] = rng.choice([*self.numbers, result])
            return _step_text(a, operator, b, result, tuple(sorted(spoiled)))
        return _step_text(a, operator, b, result, left)

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The recomputed result and the numbers left; if two are left, all results of
        one more step. For an answer, the values of its operations.
        """
        state = self._states(prefix_steps)[-1]
        if (answer := read_answer(step)) is not None:
            return " ".join(map(str, _operation_values(answer)))
        match = _STEP.fullmatch(step.strip())
        if state is None or match is None:
            return ""
        a, operator, b = int(match[1]), match[2], int(match[3])
        result = dict(results(a, b)).get(operator) if a >= b else None
        after = state.apply(a, operator, b, result) if result is not None else None
        if after is None:
            return ""
        words = [str(result), ":", *map(str, after.numbers)]
        if len(after.left) == 2:
            words += [
                ":",
                *(str(value) for _, value in results(after.numbers[1], after.numbers[0])),
            ]
        return " ".join(words)


def _moves(numbers: tuple[int, ...]) -> list[tuple[int, str, int, int, tuple[int, ...]]]:
    """Returns every legal step as (operand, operator, operand, result, numbers
    left).
    """
    moves = []
    for high in range(len(numbers)):
        for low in range(high):
            rest = numbers[:low] + numbers[low + 1 : high] + numbers[high + 1 :]
            for operator, value in results(numbers[high], numbers[low]):
                moves.append(
                    (numbers[high], operator, numbers[low], value, tuple(sorted((*rest, value))))
                )
    return moves


def _step_text(a: int, operator: str, b: int, result: int, left: tuple[int, ...]) -> str:
    return f"{a} {operator} {b} = {result} ; left {' '.join(map(str, left))}"


def _is_legal(step: str, after: _State) -> bool:
    match = _STEP.fullmatch(step.strip())
    assert match is not None
    a, b, result, left = (
        int(match[1]),
        int(match[3]),
        int(match[4]),
        sorted(map(int, match[5].split())),
    )
    exact = {
        "+": Fraction(a + b),
        "-": Fraction(a - b),
        "*": Fraction(a * b),
        "/": Fraction(a, b) if b else None,
    }[match[2]]
    return exact == result and left == sorted(after.numbers)


def _operation_values(expression: str) -> list[int]:
    """Returns the value of each operation in the order of evaluation; [] if the
    expression is invalid or a value is not an integer >= 0.
    """
    values: list[Fraction] = []
    value, _ = evaluate_exactly(expression, values)
    return (
        [int(v) for v in values]
        if value is not None and all(v.denominator == 1 and v >= 0 for v in values)
        else []
    )


def _spoil_expression(rng: random.Random, expression: str) -> str:
    tokens = re.findall(r"\d+|[+\-*/()]", expression)
    spots = [index for index, token in enumerate(tokens) if token in "+-*/"]
    if rng.random() < 0.5 and spots:
        tokens[rng.choice(spots)] = rng.choice("+-*")
    else:
        numbers = [index for index, token in enumerate(tokens) if token.isdigit()]
        first, second = rng.choice(numbers), rng.choice(numbers)
        if rng.random() < 0.5:
            tokens[first], tokens[second] = tokens[second], tokens[first]
        else:
            tokens[first] = tokens[second]
    return " ".join(tokens).replace("( ", "(").replace(" )", ")")


class Countdown(Family):
    """The level is the number of given numbers."""

    name: ClassVar[str] = "countdown"
    limits: ClassVar[str] = (
        f"three to five numbers from 1 to {LARGEST_NUMBER}, a target from 1 to {LARGEST_VALUE}"
    )
    levels: ClassVar[tuple[int, ...]] = (3, 4, 5)
    words: ClassVar[tuple[str, ...]] = ("Use", "the", "numbers", "and", "to", "make", "left")

    def generate(self, rng: random.Random, level: int) -> CountdownProblem:
        self.check_level(level)
        while True:
            numbers = [rng.randint(1, LARGEST_NUMBER) for _ in range(level)]
            left = tuple(sorted(numbers))
            steps: list[str] = []
            while len(left) > 1:
                high, low = sorted(rng.sample(range(len(left)), 2), reverse=True)
                a, b = left[high], left[low]
                operator, value = rng.choice(
                    [(o, v) for o, v in results(a, b) if 1 <= v <= LARGEST_VALUE] or [("-", 0)]
                )
                if value == 0:
                    break
                left = tuple(sorted((*left[:low], *left[low + 1 : high], *left[high + 1 :], value)))
                steps.append(_step_text(a, operator, b, value, left))
            if len(left) == 1 and left[0] >= 10:
                return CountdownProblem.of(numbers, left[0], steps)

    def recognise(self, text: str) -> CountdownProblem | None:
        folded = " ".join(text.split())
        match = _CANONICAL.fullmatch(folded) or next(
            (m for pattern in _NATURAL if (m := pattern.search(folded))), None
        )
        if match is None:
            return None
        named = match.groupdict().get("target")
        target = int(named or match[2])
        numbers = [int(word) for word in re.findall(r"\d+", match[2] if named else match[1])]
        if (
            len(numbers) not in self.levels
            or not 1 <= min(numbers) <= max(numbers) <= LARGEST_NUMBER
            or not 1 <= target <= LARGEST_VALUE
        ):
            return None
        return CountdownProblem.of(numbers, target)
