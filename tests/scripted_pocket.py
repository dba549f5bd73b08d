"""A scripted engine that plays the pocket model: every role, with mistakes at a known
rate, from the exact checkers of the families.

    engine=scripted engine.function=tests.scripted_pocket:Pocket    # in a command line
    scripted_pocket()                                              # in a test

It writes a wrong step with probability `ERROR_RATE`; its critic is always right, so
whatever a search gains is known beforehand.
"""

from __future__ import annotations

import random

from agents.engines.scripted.engine import ScriptedEngine
from agents.engines.scripted.tokenizer import END
from agents.families import Problem, recognise_question

SCRIPTED = ("engine=scripted", "engine.function=tests.scripted_pocket:Pocket")
"""The options that choose this model."""

SPECIAL = (
    *(
        "<|system|>",
        "<|user|>",
        "<|assistant|>",
        "<|critic|>",
        "<|verify|>",
        "<|reflector|>",
        "<|right|>",
        "<|wrong|>",
    ),
    *("<|propose|>", "<|correct|>", "<|reflect|>", "<|backtrack|>", "<|conclude|>"),
)
ERROR_RATE = 0.4
_NOT_STEPS = ("<|reflect|>", "<|backtrack|>")


def read_prompt(prompt: str) -> tuple[Problem, list[str], str]:
    """Returns the problem, the steps so far without marks, and the last special token
    of a role or factor ("" if none).
    """
    question, _, thought = prompt.partition("<|user|>")[2].partition(f"{END}<|assistant|>")
    problem = recognise_question(question)
    if problem is None:
        raise ValueError(f"the scripted pocket was asked {question!r}, which no family recognises")
    last = next((token for token in SPECIAL if thought.endswith(token)), "")
    steps: list[str] = []
    for piece in thought.removesuffix(last).split("\n\n"):
        mark = next((token for token in SPECIAL if piece.startswith(token)), "")
        if mark == "<|backtrack|>":
            steps.pop()
        elif piece.strip() and mark not in _NOT_STEPS:
            steps.append(piece.removeprefix(mark).removesuffix(END))
    return problem, steps, last


class Pocket:
    """Reply and score functions of `ScriptedEngine`, and the tokens that they read."""

    special_tokens = SPECIAL

    @staticmethod
    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        problem, steps, last = read_prompt(prompt)
        if last == "<|verify|>":
            return problem.working(steps[:-1], steps[-1]) + (
                "<|right|>" if _right(problem, steps) else "<|wrong|>"
            )
        if last == "<|reflector|>":
            truths = [problem.verdict(truth) for truth in problem.check_steps(steps)]
            if all(truths):
                return "No step is wrong. continue."
            first = truths.index(False) + 1
            return f"Step {first} is wrong. backtrack to step {first - 1}."
        written: list[str] = []
        while len(written) < 13 and not (written and written[-1].startswith("Answer:")):
            step = problem.next_step(rng, [*steps, *written])
            if step is None or rng.random() < ERROR_RATE:
                step = problem.wrong_step(rng, [*steps, *written])
            written.append(step)
        is_opened = last in ("<|propose|>", "<|correct|>", "<|conclude|>")
        return "\n\n".join(
            ("" if is_opened and not number else _mark(step)) + step
            for number, step in enumerate(written)
        )

    @staticmethod
    def score(prompt: str, candidate: str) -> float:
        problem, steps, _ = read_prompt(prompt)
        return -0.05 if (candidate == "<|right|>") == _right(problem, steps) else -3.0


def _mark(step: str) -> str:
    return "<|conclude|>" if step.startswith("Answer:") else "<|propose|>"


def _right(problem: Problem, steps: list[str]) -> bool:
    return problem.verdict(problem.check_steps(steps)[-1])


def scripted_pocket(**options: object) -> ScriptedEngine:
    """Returns an engine that plays the pocket."""
    return ScriptedEngine(function="tests.scripted_pocket:Pocket", **options)  # type: ignore[arg-type]
