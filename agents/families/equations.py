"""Linear equations in one variable. Steps: move terms ("12 * c = 414 - 66"), add ("12 *
c = 348"), divide ("c = 29"), answer.

One operation per step: a model that moved and added in one step wrote an arbitrary
multiple of the coefficient. The critic checks a sum by subtracting and a division by
multiplying, so that it does not repeat the policy's error.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from agents.families.base import (
    ANSWER_PREFIX,
    Family,
    Problem,
    StepTruth,
    read_answer,
    read_whole_number,
)

LARGEST_COEFFICIENT = 99
LARGEST_CONSTANT = 9999
LARGEST_SOLUTION = 99

_EQUATION = r"([^=.?:]+=[^=.?:]+?)"
_WORDINGS = (
    re.compile(rf"Solve {_EQUATION} for ([a-z])\."),
    re.compile(
        r"(?:Solve for|Find) (?P<variable>[a-z])(?: "
        rf"if|:| when) {_EQUATION} ?[.?]?",
        re.IGNORECASE,
    ),
    re.compile(rf"Find the value of (?P<variable>[a-z]) in the equation: {_EQUATION}"),
    re.compile(rf"Determine the value of (?P<variable>[a-z]) that satisfies: {_EQUATION}"),
    re.compile(rf"What is (?P<variable>[a-z]) if {_EQUATION} ?\??", re.IGNORECASE),
    re.compile(rf"Solve(?: the equation)?:? {_EQUATION} ?[.?]?", re.IGNORECASE),
)
_TERM = re.compile(r"([+-]?)(?:(\d+)\*?([a-z])?|([a-z]))")
_COLLECTED = re.compile(r"(-? ?\d{1,12}) \* ([a-z]) = (-? ?\d{1,12})(?: ([+-]) (\d{1,12}))?")
_SOLVED = re.compile(r"([a-z]) = (-? ?\d{1,12})")


@dataclass(frozen=True)
class EquationProblem(Problem):
    """coefficient * variable = constant, with terms collected; `text` keeps the
    original equation.
    """

    variable: str
    coefficient: int
    constants: tuple[int, int]
    """The constant terms, moved to one side: the larger one and the one added to it (0
    for none)."""

    @property
    def constant(self) -> int:
        """The sum of `constants`."""
        return sum(self.constants)

    @classmethod
    def of(
        cls, variable: str, left: Sequence[tuple[int, str]], right: Sequence[tuple[int, str]]
    ) -> EquationProblem | None:
        """Returns the problem left = right, or None outside this family's range. A term
        is (factor, variable or "").
        """
        coefficient = sum(f for f, v in left if v) - sum(f for f, v in right if v)
        stays, moved = sum(f for f, v in right if not v), -sum(f for f, v in left if not v)
        if coefficient < 0:
            coefficient, stays, moved = -coefficient, -stays, -moved
        constant = stays + moved
        if (
            coefficient == 0
            or constant % coefficient
            or not 0 <= constant // coefficient <= LARGEST_SOLUTION
        ):
            return None
        if (
            any(
                abs(f) > (LARGEST_COEFFICIENT if v else LARGEST_CONSTANT)
                for f, v in (*left, *right)
            )
            or constant > LARGEST_CONSTANT
        ):
            return None
        both_sides = any(v for _, v in left) and any(v for _, v in right)
        solution = constant // coefficient
        level = (
            4
            if coefficient > 20 or solution > 30
            else 3
            if both_sides
            else 2
            if left[0][1] == "" or coefficient > 9 or solution > 20
            else 1
        )
        text = f"Solve {_render(left)} = {_render(right)} for {variable}."
        return cls(
            "equations",
            level,
            text,
            str(solution),
            variable,
            coefficient,
            (max(stays, moved), min(stays, moved)),
        )

    def _state(self, steps: Sequence[str]) -> _State:
        coefficient, constants, solved = self.coefficient, self.constants, None
        rights: list[bool] = []
        for step in steps:
            text = step.strip()
            if (answer := read_answer(text)) is not None:
                value = read_whole_number(answer)
                rights.append(
                    value is not None
                    and (
                        value == solved
                        if solved is not None
                        else coefficient * value == sum(constants)
                    )
                )
            elif match := _COLLECTED.fullmatch(text):
                a, stated = int(match[1].replace(" ", "")), _read_constants(match)
                equal = a != 0 and a * sum(constants) == sum(stated) * coefficient
                rights.append(solved is None and match[2] == self.variable and equal)
                coefficient, constants = a, stated
            elif match := _SOLVED.fullmatch(text):
                value = int(match[2].replace(" ", ""))
                rights.append(match[1] == self.variable and coefficient * value == sum(constants))
                solved = value
            else:
                rights.append(False)
        return _State(rights, coefficient, constants, solved)

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        if any(read_answer(step) is not None for step in prefix_steps):
            return None
        state = self._state(prefix_steps)
        if state.solved is not None:
            return f"{ANSWER_PREFIX} {state.solved}"
        if not prefix_steps:
            return self._collected(state.coefficient, *state.constants)
        if state.constants[1]:
            return self._collected(state.coefficient, state.constant)
        if state.coefficient == 0 or state.constant % state.coefficient:
            return None
        return f"{self.variable} = {state.constant // state.coefficient}"

    def _collected(self, coefficient: int, constant: int, added: int = 0) -> str:
        return (f"{coefficient} * {self.variable} = {constant}") + (
            f" {'-' if added < 0 else '+'} {abs(added)}" if added else ""
        )

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        rights = self._state(steps).rights
        return [StepTruth(right, all(rights[: index + 1])) for index, right in enumerate(rights)]

    def is_correct(self, answer_text: str) -> bool:
        text = re.sub(rf"^{self.variable}\s*=", "", answer_text.strip())
        return read_whole_number(text) == int(self.answer)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        state = self._state(prefix_steps)
        coefficient, constant, added = state.coefficient, state.constant, state.constants[1]
        slip = rng.choice((-10, -2, -1, 1, 2, 10))
        if state.solved is not None:
            return f"{ANSWER_PREFIX} {state.solved + slip}"
        if prefix_steps and not added:
            off = rng.choice((-3, -2, -1, 0, 1, 2, 3, slip))
            return f"{self.variable} = {max(0, constant // (coefficient or 1) + off)}"
        if rng.random() < 0.2:
            coefficient = max(1, coefficient + rng.choice((-10, -1, 1, 10)))
        elif not prefix_steps and added:
            return self._collected(
                coefficient, state.constants[0], rng.choice((-added, added + slip))
            )
        return self._collected(
            coefficient,
            abs(constant + rng.choice((slip, 10 * slip, coefficient, 100 * slip // abs(slip)))),
        )

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The expected step, or the inverse operation: "414 : 348 + 66 = 414" for a
        sum, "348 : 12 * 29 = 348" for a division.
        """
        if any(read_answer(earlier) is not None for earlier in prefix_steps):
            return ""
        state, text = self._state(prefix_steps), step.strip()
        coefficient, (constant, added) = state.coefficient, state.constants
        if read_answer(text) is not None:
            return str(state.solved) if state.solved is not None else ""
        if match := _COLLECTED.fullmatch(text):
            stated = sum(_read_constants(match))
            if not prefix_steps or not added:
                return self._collected(coefficient, constant, added).replace(
                    f"* {self.variable} =", ":"
                )
            return (
                f"{coefficient} : {constant} : {stated} {'+' if added < 0 else '-'} {abs(added)} = "
                f"{stated - added}"
            )
        if match := _SOLVED.fullmatch(text):
            value = int(match[2].replace(" ", ""))
            return f"{state.constant} : {coefficient} * {value} = {coefficient * value}"
        return ""


@dataclass(frozen=True)
class _State:
    """The state after some steps."""

    rights: list[bool]
    """For each step, whether it is right given the steps before it."""
    coefficient: int
    constants: tuple[int, int]
    solved: int | None
    """The stated solution."""

    @property
    def constant(self) -> int:
        return sum(self.constants)


def _read_constants(match: re.Match[str]) -> tuple[int, int]:
    """Returns the two numbers right of the "=" of a collected equation; 0 if there is
    no second one.
    """
    return int(match[3].replace(" ", "")), int(f"{match[4]}{match[5]}") if match[4] else 0


def _render(terms: Sequence[tuple[int, str]]) -> str:
    text = ""
    for factor, variable in terms:
        sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
        text += sign + (f"{abs(factor)} * {variable}" if variable else str(abs(factor)))
    return text


def _read_side(text: str) -> list[tuple[int, str]] | None:
    compact = text.replace(" ", "").replace("−", "-").replace("×", "*")
    terms: list[tuple[int, str]] = []
    position = 0
    while position < len(compact):
        match = _TERM.match(compact, position)
        if match is None or (terms and not match[1]):
            return None
        factor, variable = int(match[2] or 1), match[3] or match[4] or ""
        terms.append((-factor if match[1] == "-" else factor, variable))
        position = match.end()
    return terms or None


class Equations(Family):
    """Levels 1 and 2: one side, small numbers. Level 3: the variable on both sides.
    Level 4: one side, numbers up to 99.
    """

    name: ClassVar[str] = "equations"
    limits: ClassVar[str] = (
        f"linear, coefficients to {LARGEST_COEFFICIENT}, constants to {LARGEST_CONSTANT}, a whole "
        f"solution from 0 to {LARGEST_SOLUTION}"
    )
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    words: ClassVar[tuple[str, ...]] = ("Solve", "for", *string.ascii_lowercase)

    def generate(self, rng: random.Random, level: int) -> EquationProblem:
        self.check_level(level)
        largest_coefficient, largest_solution = {1: (9, 20), 2: (20, 30), 3: (20, 30), 4: (99, 99)}[
            level
        ]
        while True:
            variable = rng.choice(string.ascii_lowercase)
            a, solution = rng.randint(2, largest_coefficient), rng.randint(1, largest_solution)
            b = rng.randint(1, 99) * rng.choice((-1, 1))
            left = [(a, variable), (b, "")]
            if level >= 2 and rng.random() < 0.5:
                left = [(abs(b), ""), (rng.choice((-1, 1)) * a, variable)]
            right = [(sum(f * solution if v else f for f, v in left), "")]
            if level == 3:
                c = rng.randint(2, 20)
                right = [(c, variable), (right[0][0] - c * solution, "")]
            elif level == 4 and rng.random() < 0.15:
                left, right = [(a, variable)], [(a * solution, "")]
            problem = EquationProblem.of(variable, left, right)
            if problem is not None and problem.level == level and all(f for f, _ in right):
                return problem

    def recognise(self, text: str) -> EquationProblem | None:
        folded = " ".join(text.split())
        match = next((m for pattern in _WORDINGS if (m := pattern.fullmatch(folded))), None)
        if match is None:
            return None
        named = match.groupdict().get("variable")
        equation = match[2] if named else match[1]
        letters = set(re.findall(r"[a-z]", equation))
        asked = named or (match[2] if match.re is _WORDINGS[0] else next(iter(letters), ""))
        sides = [_read_side(side) for side in equation.split("=")]
        if letters != {asked} or len(sides) != 2 or not sides[0] or not sides[1]:
            return None
        return EquationProblem.of(asked, sides[0], sides[1])
