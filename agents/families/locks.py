"""Subset-sum locks: verifying a step is easier than finding it, and a wrong step leaves
no trace in the thought.

There are k locks in a row. Lock i has m numbers v_1 >= ... >= v_m and a call c_i. Its
code x_i in 1 .. 2^m - 1 selects numbers by its binary digits (the lowest digit the
first number), which must sum to (c_i + x_{i-1}) mod 100, where x_0 is given. On the
right path exactly one code opens each lock. A step states only a code ("B = 13"); the
answer is the sum of the codes. Finding a code is a search over 2^m subsets; checking
one takes a few additions, which `working` writes out.
"""

from __future__ import annotations

import random
import re
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

MODULUS = 100
LARGEST_NUMBER = 24
NAMES = "ABCD"

_CANONICAL = re.compile(r"Locks from (\d+): (.+?)\.")
_CANONICAL_LOCK = re.compile(r"[A-D] (\d+) ((?:\d+ )*\d+)")
_NATURAL_START = re.compile(
    r"\b(?:start(?:ing|s)?(?: code| value)?(?: is| at| with| from)?|code before the first lock "
    r"is)\s*:?\s*(\d+)",
    re.IGNORECASE,
)
_NATURAL_LOCK = re.compile(
    r"\block\s+([A-D])\b\D*?(\d+)\s+(?:of|from|with|using|out of)(?: the "
    r"numbers)?\s+((?:\d+[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_STEP = re.compile(r"([A-D])\s*=\s*(\d{1,12})")


@dataclass(frozen=True)
class Lock:
    """One lock: its call and its numbers, largest first."""

    call: int
    numbers: tuple[int, ...]

    @property
    def num_codes(self) -> int:
        """Codes are 1 .. num_codes - 1."""
        return 1 << len(self.numbers)

    def target(self, previous_code: int) -> int:
        """Returns the sum that opens the lock, in 0 .. 99."""
        return (self.call + previous_code) % MODULUS

    def chosen(self, code: int) -> list[int]:
        """Returns the numbers that `code` selects, in the lock's order."""
        return [number for bit, number in enumerate(self.numbers) if code >> bit & 1]

    def opens(self, code: int, previous_code: int) -> bool:
        """Whether `code` is a code of this lock and its numbers sum to the target."""
        return 0 < code < self.num_codes and sum(self.chosen(code)) == self.target(previous_code)

    def codes(self, previous_code: int) -> list[int]:
        """Returns every code that opens the lock; after a wrong code there may be none
        or several.
        """
        return [code for code in range(1, self.num_codes) if self.opens(code, previous_code)]


@dataclass(frozen=True)
class LocksProblem(Problem):
    """A row of locks."""

    start: int
    locks: tuple[Lock, ...]

    @classmethod
    def of(cls, start: int, locks: Sequence[Lock]) -> LocksProblem | None:
        """Returns the problem, or None unless exactly one code opens each lock on the
        right path.
        """
        codes: list[int] = []
        for lock in locks:
            found = lock.codes(codes[-1] if codes else start)
            if len(found) != 1:
                return None
            codes += found
        rows = ", ".join(
            f"{name} {lock.call} {' '.join(map(str, lock.numbers))}"
            for name, lock in zip(NAMES, locks, strict=False)
        )
        level = len(locks) + 4 * (len(locks[0].numbers) - 4)
        text = f"Locks from {start}: {rows}."
        return cls("locks", level, text, str(sum(codes)), start, tuple(locks))

    def read_codes(self, steps: Sequence[str]) -> list[int | None]:
        """Returns the code that each non-concluding step states for the next lock, None
        for an unreadable step.
        """
        codes: list[int | None] = []
        for step in steps:
            if read_answer(step) is not None:
                continue
            match = _STEP.fullmatch(step.strip())
            turn = len(codes)
            codes.append(
                int(match[2])
                if match and turn < len(self.locks) and match[1] == NAMES[turn]
                else None
            )
        return codes

    def _previous_code(self, codes: Sequence[int | None]) -> int | None:
        return codes[-1] if codes else self.start

    def next_step(self, rng: random.Random, prefix_steps: Sequence[str]) -> str | None:
        if any(read_answer(step) is not None for step in prefix_steps):
            return None
        codes = self.read_codes(prefix_steps)
        if any(code is None for code in codes):
            return None
        if len(codes) == len(self.locks):
            return f"{ANSWER_PREFIX} {sum(code or 0 for code in codes)}"
        found = self.locks[len(codes)].codes(self._previous_code(codes) or 0)
        return f"{NAMES[len(codes)]} = {rng.choice(found)}" if found else None

    def check_steps(self, steps: Sequence[str]) -> list[StepTruth]:
        truths: list[StepTruth] = []
        solvable = True
        for index, step in enumerate(steps):
            codes = self.read_codes(steps[:index])
            answer = read_answer(step)
            if answer is not None:
                known = [code for code in codes if code is not None]
                right = len(known) == len(codes) == len(self.locks) and read_whole_number(
                    answer
                ) == sum(known)
            else:
                code, previous = self.read_codes(steps[: index + 1])[-1], self._previous_code(codes)
                right = (
                    code is not None
                    and previous is not None
                    and self.locks[len(codes)].opens(code, previous)
                )
            solvable = solvable and right
            truths.append(StepTruth(right, solvable))
        return truths

    def is_correct(self, answer_text: str) -> bool:
        return read_whole_number(answer_text) == int(self.answer)

    def near_miss(self, rng: random.Random, prefix_steps: Sequence[str]) -> str:
        """40 % are codes whose sum is close to the target (typical errors of a good
        policy), 30 % have one or two wrong digits, 30 % are random.
        """
        codes = self.read_codes(prefix_steps)
        if len(codes) >= len(self.locks):
            total = sum(code or 0 for code in codes)
            slip = (
                rng.choice((-10, -2, -1, 1, 2, 10)) if rng.random() < 0.7 else rng.randint(-20, 20)
            )
            return f"{ANSWER_PREFIX} {max(0, total + slip)}"
        lock, previous = self.locks[len(codes)], self._previous_code(codes) or 0
        draw, code = rng.random(), rng.randint(1, lock.num_codes - 1)
        if draw < 0.4:
            target = lock.target(previous)
            ranked = sorted(
                range(1, lock.num_codes),
                key=lambda z: abs(sum(lock.chosen(z)) - target) + rng.random(),
            )
            code = rng.choice(ranked[:5])
        elif draw < 0.7 and (found := lock.codes(previous)):
            code = rng.choice(found) ^ (1 << rng.randrange(len(lock.numbers)))
            if rng.random() < 0.5:
                code ^= 1 << rng.randrange(len(lock.numbers))
        return f"{NAMES[len(codes)]} = {max(1, code)}"

    def working(self, prefix_steps: Sequence[str], step: str) -> str:
        """The target and the selected numbers, with the running sum after each from the
        second on: "50 : 21 9 30 20 50".
        """
        codes = self.read_codes(prefix_steps)
        if any(code is None for code in codes):
            return ""
        if read_answer(step) is not None:
            return " ".join(_running_sums([code or 0 for code in codes]))
        if (
            len(codes) >= len(self.locks)
            or (code := self.read_codes([*prefix_steps, step])[-1]) is None
        ):
            return ""
        lock = self.locks[len(codes)]
        chosen = lock.chosen(code) if 0 < code < lock.num_codes else []
        return " ".join(
            [str(lock.target(self._previous_code(codes) or 0)), ":", *_running_sums(chosen)]
        )


def _running_sums(numbers: Sequence[int]) -> list[str]:
    words: list[str] = []
    total = 0
    for index, number in enumerate(numbers):
        total += number
        words += [str(number)] if index == 0 else [str(number), str(total)]
    return words


class Locks(Family):
    """Levels 1-4 are 1-4 locks of four numbers, levels 5-8 of five, levels 9-12 of
    six.
    """

    name: ClassVar[str] = "locks"
    limits: ClassVar[str] = f"one to four locks of four to six numbers from 1 to {LARGEST_NUMBER}"
    levels: ClassVar[tuple[int, ...]] = tuple(range(1, 13))
    words: ClassVar[tuple[str, ...]] = ("Locks", "from", *NAMES)

    def generate(self, rng: random.Random, level: int) -> LocksProblem:
        self.check_level(level)
        num_locks, num_numbers = (level - 1) % 4 + 1, 4 + (level - 1) // 4
        while True:
            start = code = rng.randint(1, (1 << num_numbers) - 1)
            locks: list[Lock] = []
            for _ in range(num_locks):
                lock, code = _draw_lock(rng, num_numbers, code)
                locks.append(lock)
            problem = LocksProblem.of(start, locks)
            if problem is not None:
                return problem

    def recognise(self, text: str) -> LocksProblem | None:
        folded = " ".join(text.split())
        rows: list[tuple[str, str]] = []
        if match := _CANONICAL.fullmatch(folded):
            start = int(match[1])
            parsed = [_CANONICAL_LOCK.fullmatch(row) for row in match[2].split(", ")]
            rows = [(m[1], m[2]) for m in parsed if m]
            if len(rows) != len(parsed):
                return None
        elif (found := _NATURAL_START.search(folded)) and "code" in folded.lower():
            start = int(found[1])
            rows = [(m[2], m[3]) for m in _NATURAL_LOCK.finditer(folded)]
        else:
            return None
        locks = [
            Lock(int(call), tuple(sorted(map(int, re.findall(r"\d+", numbers)), reverse=True)))
            for call, numbers in rows
        ]
        if (
            not 1 <= len(locks) <= len(NAMES)
            or len({len(lock.numbers) for lock in locks}) != 1
            or len(locks[0].numbers) not in (4, 5, 6)
        ):
            return None
        if start >= locks[0].num_codes or any(
            lock.call >= MODULUS
            or not 1 <= min(lock.numbers) <= max(lock.numbers) <= LARGEST_NUMBER
            for lock in locks
        ):
            return None
        return LocksProblem.of(start, locks)


def _draw_lock(rng: random.Random, num_numbers: int, previous_code: int) -> tuple[Lock, int]:
    """Draws a lock that exactly one code opens after `previous_code`. Returns the lock
    and the code.
    """
    while True:
        numbers = tuple(
            sorted((rng.randint(1, LARGEST_NUMBER) for _ in range(num_numbers)), reverse=True)
        )
        sums = [
            sum(n for bit, n in enumerate(numbers) if code >> bit & 1)
            for code in range(1 << num_numbers)
        ]
        code = rng.randint(1, len(sums) - 1)
        if sums[code] < MODULUS and sums.count(sums[code]) == 1:
            return Lock((sums[code] - previous_code) % MODULUS, numbers), code
