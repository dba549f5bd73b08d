"""Running values: an expression of + - * and parentheses, or a chain of operations
modulo a prime, with one operation per step.

Every step states its operands and its result ("7 * 2 = 14"). Modulo 31 a product is as
hard to verify as to compute, so a critic of the policy's size adds little; the exact
levels are easy.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from agents.families.arithmetic import Expression, ExpressionError, Operation, parse_expression
from agents.families.base import (
    ANSWER_PREFIX,
    Family,
    Problem,
    StepTruth,
    read_answer,
    read_whole_number,
)

PRIME = 31
LARGEST_VALUE = 999
_MAX_OPERATIONS = 6

_EXPRESSION = r"([-+*()\d ×−]+?)"
_WORDINGS = (
    re.compile(rf"Compute {_EXPRESSION}\."),
    re.compile(
        r"(?:Please )?(?:what "
        r"is|calculate|compute|evaluate:?|work out|solve) "
        rf"{_EXPRESSION} "
        r"?(?:=)? ?[.?]?",
        re.IGNORECASE,
    ),
    re.compile(rf"State the final answer to the following arithmetic problem: {_EXPRESSION} ="),
)
_MODULAR = re.compile(
    r"Modulo (\d+), start with (\d+), then "
    r"((?:[+\-*] ?\d+(?:, )?)+)\.",
    re.IGNORECASE,
)
_STEP = re.compile(r"(-? ?\d{1,12}) ([+\-*]) (-? ?\d{1,12}) = (-? ?\d{1,12})")


@dataclass(frozen=True)
class RunningProblem(Problem):
    """An expression tree; `modulus` is None for exact arithmetic."""

    expression: Expression
    modulus: int | None
    operations: tuple[Operation, ...] = field(default=(), compare=False)
    """The operations in the order of the canonical solution: left before right,
    operands before the operation."""

    @classmethod
    def of(cls, expression: Expression, modulus: int | None, wording: str) -> RunningProblem | None:
        """Returns the problem, or None if it has no operation, too many, or an
        intermediate value of more than three digits.
        """
        operations: list[Operation] = []
        _collect(expression, operations)
        if not 1 <= len(operations) <= _MAX_OPERATIONS:
            return None
        problem = cls("running", 0, "", "", expression, modulus, tuple(operations))
        values: dict[int, int] = {}
        for operation in operations:
            values[id(operation)] = problem.compute(operation, values)
            if abs(values[id(operation)]) > LARGEST_VALUE:
                return None
        level = (
            3
            if modulus
            else 1
            if all(
                operation.operator in "+-" and isinstance(operation.right, int)
                for operation in operations
            )
            else 2
        )
        text = f"Modulo {modulus}, {wording}." if modulus else f"Compute {wording}."
        return cls(
            "running",
            level,
            text,
            str(values[id(expression)]),
            expression,
            modulus,
            tuple(operations),
        )

    def compute(self, operation: Operation, values: dict[int, int]) -> int:
        """Returns the result of an operation. `values`: id(operation) -> result of the
        operands that are not leaves.
        """
        left, right = (
            side if isinstance(side, int) else values[id(side)]
            for side in (operation.left, operation.right)
        )
        return self._apply(left, operation.operator, right)

    def _apply(self, left: int, operator: str, right: int) -> int:
        result = (
            left + right if operator == "+" else left - right if operator == "-" else left * right
        )
        return result % self.modulus if self.modulus else result

    def _ready(self, values: dict[int, int]) -> list[tuple[Operation, int, int]]:
        """Returns the operations whose operands are known, with these operands, in
        canonical order.
        """
        ready = []
        for operation in self.operations:
            sides = [
                side if isinstance(side, int) else values.get(id(side))
                for side in (operation.left, operation.right)
            ]
            if id(operation) not in values and sides[0] is not None and sides[1] is not None:
                ready.append((operation, sides[0], sides[1]))
        return ready

    def _replay(self, steps: Sequence[str]) -> tuple[list[bool], dict[int, int]]:
        """Returns whether each step is right given those before it, and the stated
        result of each operation.
        """
        values: dict[int, int] = {}
        rights: list[bool] = []
        for step in steps:
            if (answer := read_answer(step)) is not None:
                rights.append(read_whole_number(answer) == self._final_value(values))
                continue
            match, ready = _STEP.fullmatch(step.strip()), self._ready(values)
            if match is None or not ready:
                rights.append(False)
                continue
            left, right, result = (int(match[group].replace(" ", "")) for group in (1, 3, 4))
            matching = [
                operation
                for operation, a, b in ready
                if (a, operation.operator, b) == (left, match[2], right)
            ]
            rights.append(bool(matching) and result == self._apply(left, match[2], right))
            values[id(matching[0] if matching else ready[0][0])] = result
        return rights, values

    def _final_value(self, values: dict[int, int]) -> int:
        """Returns the value of the whole expression, given the known (right or wrong)
        values.
        """
        values = dict(values)
        for operation in self.operations:
            values.setdefault(id(operation), self.compute(operation, values))
        return values[id(self.expression)]

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        if any(read_answer(step) is not None for step in prefix_steps):
            return None
        _, values = self._replay(prefix_steps)
        ready = self._ready(values)
        if not ready:
            return f"{ANSWER_PREFIX} {self._final_value(values)}"
        operation, left, right = ready[0]
        return (
            f"{left} {operation.operator} {right} = {self._apply(left, operation.operator, right)}"
        )

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        rights, _ = self._replay(steps)
        return [StepTruth(right, all(rights[: index + 1])) for index, right in enumerate(rights)]

    def is_correct(self, answer_text: str) -> bool:
        return read_whole_number(answer_text) == int(self.answer)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        _, values = self._replay(prefix_steps)
        ready = self._ready(values)
        if not ready:
            return f"{ANSWER_PREFIX} {self._slip(rng, self._final_value(values))}"
        operation, left, right = ready[0]
        operator, result = operation.operator, self._apply(left, operation.operator, right)
        draw = rng.random()
        if draw < 0.75:
            return f"{left} {operator} {right} = {self._slip(rng, result)}"
        if draw < 0.9:
            operator = rng.choice("+-*")
        else:
            left += rng.choice((-1, 1, 10))
        return f"{left} {operator} {right} = {self._apply(left, operator, right)}"

    def _slip(self, rng: random.Random, result: int) -> int:
        if self.modulus:
            return (
                rng.randrange(self.modulus)
                if rng.random() < 0.5
                else (result + rng.choice((-10, -2, -1, 1, 2, 10))) % self.modulus
            )
        return (
            result + rng.choice((-100, -10, -2, -1, 1, 2, 10, 100))
            if rng.random() < 0.85
            else -result
        )

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The next operation and its result; modulo a prime, after the exact result: "7
        * 20 : 140 16".
        """
        if any(read_answer(earlier) is not None for earlier in prefix_steps):
            return ""
        if read_answer(step) is not None:
            _, values = self._replay(prefix_steps)
            return str(self._final_value(values)) if not self._ready(values) else ""
        due = self.next_step(random.Random(0), prefix_steps)
        match = _STEP.fullmatch(due) if due else None
        if match is None:
            return ""
        if self.modulus:
            left, right = int(match[1]), int(match[3])
            exact = (
                left + right
                if match[2] == "+"
                else left - right
                if match[2] == "-"
                else left * right
            )
            return f"{left} {match[2]} {right} : {exact} {match[4]}"
        return f"{match[1]} {match[2]} {match[3]} : {match[4]}"


def _collect(tree: Expression, operations: list[Operation]) -> None:
    if isinstance(tree, Operation):
        _collect(tree.left, operations)
        _collect(tree.right, operations)
        operations.append(tree)


def render_expression(tree: Expression, parent: str = "", is_right: bool = False) -> str:
    """Returns the expression's text with as few parentheses as possible."""
    if isinstance(tree, int):
        return str(tree)
    text = (
        f"{render_expression(tree.left, tree.operator)} {tree.operator} "
        f"{render_expression(tree.right, tree.operator, True)}"
    )
    needs = (parent == "*" and (tree.operator in "+-" or is_right)) or (
        parent in ("+", "-") and is_right and tree.operator in "+-"
    )
    return f"({text})" if needs else text


class Running(Family):
    """Level 1: sums and differences. Level 2: with products and parentheses. Level 3: a
    chain of operations modulo 31.
    """

    name: ClassVar[str] = "running"
    limits: ClassVar[str] = (
        f"at most {_MAX_OPERATIONS} operations + - *, values to {LARGEST_VALUE}, or modulo {PRIME}"
    )
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    words: ClassVar[tuple[str, ...]] = ("Compute", "Modulo", "start", "with", "then")

    def generate(self, rng: random.Random, level: int) -> RunningProblem:
        self.check_level(level)
        while True:
            if level == 3:
                start, chain = (
                    rng.randrange(PRIME),
                    [
                        (rng.choice("+-**"), rng.randint(2, PRIME - 1))
                        for _ in range(rng.randint(3, 6))
                    ],
                )
                problem = _modular_problem(PRIME, start, chain)
            else:
                tree = _random_sum(rng) if level == 1 else _random_tree(rng, rng.randint(3, 5))
                problem = RunningProblem.of(tree, None, render_expression(tree))
            if problem is not None and problem.level == level:
                return problem

    def recognise(self, text: str) -> RunningProblem | None:
        folded = " ".join(text.split())
        if match := _MODULAR.fullmatch(folded):
            chain = [
                (operator, int(number))
                for operator, number in re.findall(r"([+\-*]) ?(\d+)", match[3])
            ]
            modulus, start = int(match[1]), int(match[2])
            inside = (
                modulus == PRIME and start < PRIME and all(number < PRIME for _, number in chain)
            )
            return _modular_problem(modulus, start, chain) if inside else None
        match = next((m for pattern in _WORDINGS if (m := pattern.fullmatch(folded))), None)
        if match is None:
            return None
        try:
            tree = parse_expression(match[1])
        except ExpressionError:
            return None
        if any(int(number) > LARGEST_VALUE for number in re.findall(r"\d+", match[1])):
            return None
        return RunningProblem.of(tree, None, render_expression(tree))


def _modular_problem(
    modulus: int, start: int, chain: Sequence[tuple[str, int]]
) -> RunningProblem | None:
    tree: Expression = start
    for operator, number in chain:
        tree = Operation(operator, tree, number)
    return RunningProblem.of(
        tree,
        modulus,
        f"start with {start}, then "
        f"{', '.join(f'{operator} {number}' for operator, number in chain)}",
    )


def _random_sum(rng: random.Random) -> Expression:
    largest = 9 if rng.random() < 0.25 else 99 if rng.random() < 0.8 else 300
    tree: Expression = rng.randint(1, largest)
    for _ in range(rng.randint(1, 5)):
        tree = Operation(rng.choice("+-"), tree, rng.randint(1, largest))
    return tree


def _random_tree(rng: random.Random, num_leaves: int) -> Expression:
    if num_leaves == 1:
        return rng.randint(1, 20)
    num_left = rng.randint(1, num_leaves - 1)
    return Operation(
        rng.choice("+-*"), _random_tree(rng, num_left), _random_tree(rng, num_leaves - num_left)
    )
