"""Linear equations in one variable: collect ("98 * e = 1274"), divide ("e = 13"), answer.

The critic checks a division by multiplying back, which is easier than dividing.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from agents.families.base import ANSWER_PREFIX, Family, Problem, StepTruth, read_answer, read_whole_number

LARGEST_COEFFICIENT = 99
LARGEST_CONSTANT = 9999
LARGEST_SOLUTION = 99

_EQUATION = r"([^=.?:]+=[^=.?:]+?)"
_WORDINGS = (
    re.compile(rf"Solve {_EQUATION} for ([a-z])\."),
    re.compile(rf"(?:Solve for|Find) (?P<variable>[a-z])(?: if|:| when) {_EQUATION} ?[.?]?", re.IGNORECASE),
    re.compile(rf"Find the value of (?P<variable>[a-z]) in the equation: {_EQUATION}"),
    re.compile(rf"Determine the value of (?P<variable>[a-z]) that satisfies: {_EQUATION}"),
    re.compile(rf"What is (?P<variable>[a-z]) if {_EQUATION} ?\??", re.IGNORECASE),
    re.compile(rf"Solve(?: the equation)?:? {_EQUATION} ?[.?]?", re.IGNORECASE),
)
_TERM = re.compile(r"([+-]?)(?:(\d+)\*?([a-z])?|([a-z]))")
_COLLECTED = re.compile(r"(-? ?\d+) \* ([a-z]) = (-? ?\d+)")
_SOLVED = re.compile(r"([a-z]) = (-? ?\d+)")


@dataclass(frozen=True)
class EquationProblem(Problem):
    """coefficient * variable = constant, after everything has been collected; the text keeps the equation as it was asked."""

    variable: str
    coefficient: int
    constant: int

    @classmethod
    def of(cls, variable: str, left: Sequence[tuple[int, str]], right: Sequence[tuple[int, str]]) -> EquationProblem | None:
        """Returns the problem of left = right (terms as factor and "" or the variable), or None outside this family's range."""
        coefficient = sum(f for f, v in left if v) - sum(f for f, v in right if v)
        constant = sum(f for f, v in right if not v) - sum(f for f, v in left if not v)
        if coefficient < 0:
            coefficient, constant = -coefficient, -constant
        if coefficient == 0 or constant % coefficient or not 0 <= constant // coefficient <= LARGEST_SOLUTION:
            return None
        if any(abs(f) > (LARGEST_COEFFICIENT if v else LARGEST_CONSTANT) for f, v in (*left, *right)) or constant > LARGEST_CONSTANT:
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
        return cls("equations", level, text, str(solution), variable, coefficient, constant)

    def _state(self, steps: Sequence[str]) -> tuple[list[bool], int, int, int | None]:
        """Returns which steps are right as they stand, the coefficient and constant that they state, and the stated solution."""
        coefficient, constant, solved = self.coefficient, self.constant, None
        rights: list[bool] = []
        for step in steps:
            text = step.strip()
            if (answer := read_answer(text)) is not None:
                value = read_whole_number(answer)
                rights.append(value is not None and (value == solved if solved is not None else coefficient * value == constant))
            elif match := _COLLECTED.fullmatch(text):
                a, b = int(match[1].replace(" ", "")), int(match[3].replace(" ", ""))
                rights.append(solved is None and match[2] == self.variable and a != 0 and a * constant == b * coefficient)
                coefficient, constant = a, b
            elif match := _SOLVED.fullmatch(text):
                value = int(match[2].replace(" ", ""))
                rights.append(match[1] == self.variable and coefficient * value == constant)
                solved = value
            else:
                rights.append(False)
        return rights, coefficient, constant, solved

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        if any(read_answer(step) is not None for step in prefix_steps):
            return None
        _, coefficient, constant, solved = self._state(prefix_steps)
        if solved is not None:
            return f"{ANSWER_PREFIX} {solved}"
        if not prefix_steps:
            return f"{coefficient} * {self.variable} = {constant}"
        if coefficient == 0 or constant % coefficient:
            return None
        return f"{self.variable} = {constant // coefficient}"

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        rights = self._state(steps)[0]
        return [StepTruth(right, all(rights[: index + 1])) for index, right in enumerate(rights)]

    def is_correct(self, answer_text: str) -> bool:
        text = re.sub(rf"^{self.variable}\s*=", "", answer_text.strip())
        return read_whole_number(text) == int(self.answer)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        _, coefficient, constant, solved = self._state(prefix_steps)
        slip = rng.choice((-10, -2, -1, 1, 2, 10))
        if solved is not None:
            return f"{ANSWER_PREFIX} {solved + slip}"
        if prefix_steps:
            return f"{self.variable} = {max(0, constant // (coefficient or 1) + rng.choice((-3, -2, -1, 0, 1, 2, 3, slip)))}"
        if rng.random() < 0.3:
            return f"{max(1, coefficient + rng.choice((-10, -1, 1, 10)))} * {self.variable} = {constant}"
        return f"{coefficient} * {self.variable} = {abs(constant + rng.choice((slip, 10 * slip, coefficient)))}"

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The collected equation again; for a solution, coefficient * solution beside the constant: "98 * 13 = 1274 : 1274"."""
        if any(read_answer(earlier) is not None for earlier in prefix_steps):
            return ""
        _, coefficient, constant, solved = self._state(prefix_steps)
        text = step.strip()
        if read_answer(text) is not None:
            return str(solved) if solved is not None else ""
        if _COLLECTED.fullmatch(text):
            return f"{coefficient} : {constant}"
        match = _SOLVED.fullmatch(text)
        if match is None:
            return ""
        value = int(match[2].replace(" ", ""))
        return f"{constant} : {coefficient} * {value} = {coefficient * value}"


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
    """Levels 1 and 2: one side, small numbers. Level 3: the variable on both sides. Level 4: one side, numbers up to 99."""

    name: ClassVar[str] = "equations"
    limits: ClassVar[str] = (
        f"linear, coefficients to {LARGEST_COEFFICIENT}, constants to {LARGEST_CONSTANT}, a whole solution from 0 to {LARGEST_SOLUTION}"
    )
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    words: ClassVar[tuple[str, ...]] = ("Solve", "for", *string.ascii_lowercase)

    def generate(self, rng: random.Random, level: int) -> EquationProblem:
        self.check_level(level)
        largest_coefficient, largest_solution = {1: (9, 20), 2: (20, 30), 3: (20, 30), 4: (99, 99)}[level]
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
